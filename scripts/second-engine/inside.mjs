// Runs in namespaces of its own (network, mounts, processes): starts the engine, gives it the images, runs the command, ends the engine.
// The kernel ends whatever is left when the first process of the namespace does.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureBaseImages } from '../base-images.mjs';
import { copyImages, engineState } from '../engine/engine-api.mjs';
import { ROOT } from '../tools.mjs';

const START_TRIES = 3;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 40_000;
/** The root is turned, not only changed for a process: what an engine runs in a container enters by the root of its mounts. */
const IN_ROOT = 'cd "$1" && shift && pivot_root . mnt && umount --lazy /mnt && exec dockerd "$@"';
const USUAL_SOCKET = '/run/docker.sock';
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

const { root, folder, runtime, storage, images, from, command } = JSON.parse(process.argv[2]);
const host = `unix://${runtime}/docker.sock`;
const announce = (line) => process.stderr.write(`kiln: ${line}\n`);

mountOwnSystemFiles();
mountWhatIsShared();
const daemon = await startDaemon();
try {
  await giveImages();
  takeUsualPlace();
  process.exitCode = await runCommand();
} finally {
  daemon.kill('SIGTERM');
  await Promise.race([daemon.ended, delay(STOP_TIMEOUT_MS, undefined, { ref: false })]);
}

/** Which devices of the network /sys lists depends on the namespace that it was mounted in. */
function mountOwnSystemFiles() {
  const aside = join(folder, 'cgroup');
  mkdirSync(aside);
  mount('--rbind', '/sys/fs/cgroup', aside);
  mount('-t', 'sysfs', 'sysfs', '/sys');
  mount('--rbind', aside, '/sys/fs/cgroup');
}

/** Folders that the command and the engine must know by the same path: sockets and files that are mounted into containers. */
function mountWhatIsShared() {
  // As the root of an engine has to be.
  mount('--bind', root, root);
  for (const shared of ['/run', '/tmp', join(folder, '..'), ROOT]) {
    mkdirSync(join(root, shared), { recursive: true });
    mount('--bind', shared, join(root, shared));
  }
  for (const shared of ['/sys', '/dev']) mount('--rbind', shared, join(root, shared));
  mount('-t', 'proc', 'proc', join(root, 'proc'));
  const resolver = resolverFile();
  writeFileSync(join(root, 'etc/resolv.conf'), readFileSync(resolver));
  if (resolver !== '/etc/resolv.conf') mount('--bind', resolver, '/etc/resolv.conf');
  if (existsSync(CERTIFICATES)) mount('--bind', CERTIFICATES, join(root, CERTIFICATES));
}

function mount(...args) {
  execFileSync('mount', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** In this namespace the socket that programs take when nobody says anything else is the second engine's. */
function takeUsualPlace() {
  if (existsSync(USUAL_SOCKET)) mount('--bind', `${runtime}/docker.sock`, USUAL_SOCKET);
}

/** A resolver on loopback is on another loopback here. */
function resolverFile() {
  const behind = '/run/systemd/resolve/resolv.conf';
  const isLocal = /^nameserver 127\./m.test(readFileSync('/etc/resolv.conf', 'utf8'));
  return isLocal && existsSync(behind) ? behind : '/etc/resolv.conf';
}

async function startDaemon() {
  mkdirSync(runtime, { recursive: true });
  const configuration = join(folder, 'daemon.json');
  writeFileSync(configuration, JSON.stringify({ features: { 'containerd-snapshotter': storage === 'containerd' } }));
  const logFile = join(folder, 'dockerd.log');
  for (let attempt = 1; attempt <= START_TRIES; attempt += 1) {
    const log = openSync(logFile, 'a');
    const options = { host, 'data-root': join(folder, 'data'), 'exec-root': runtime, pidfile: join(runtime, 'pid') };
    const args = Object.entries({ ...options, 'config-file': configuration }).map(([name, value]) => `--${name}=${value}`);
    const child = spawn('unshare', ['--mount', '--', 'sh', '-c', IN_ROOT, 'sh', root, ...args], {
      stdio: ['ignore', log, log],
      detached: true,
    });
    const ended = new Promise((resolve) => child.once('exit', () => resolve('ended')));
    const outcome = await Promise.race([ended, untilAnswered()]);
    if (outcome === 'up') return { kill: (signal) => child.kill(signal), ended };
    child.kill('SIGKILL');
  }
  throw new Error(`the second engine does not come up:\n${readFileSync(logFile, 'utf8').slice(-4000)}`);
}

async function untilAnswered() {
  for (const until = Date.now() + START_TIMEOUT_MS; Date.now() < until; await delay(100)) {
    if ((await engineState(host)) === 'answers') return 'up';
  }
  return 'silent';
}

async function giveImages() {
  if (from !== undefined) await copyImages(from, host, images, announce);
  await ensureBaseImages(images, announce, host);
}

function runCommand() {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, DOCKER_HOST: host } });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}
