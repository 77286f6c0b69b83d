// A Docker engine to work with. One that answers is used as it is, and never touched. None: it is installed and started.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asRoot, installPackages, rootCommand } from '../system/packages.mjs';
import { DEFAULT_HOST, engineHost, engineState } from './engine-api.mjs';

const START_TRIES = 5;
const START_TIMEOUT_MS = 60_000;

/** An engine that answers this user; else this process has been run again as one that it answers, and ends here. */
export async function ensureEngine(announce) {
  const host = engineHost();
  const state = await engineState(host);
  if (state === 'answers') return;
  if (state === 'forbidden') return await enterGroup(host, announce);
  if (host !== DEFAULT_HOST)
    throw new Error(`no Docker engine answers at DOCKER_HOST=${host}: start it, or unset DOCKER_HOST to use this machine's own`);
  if (process.platform !== 'linux')
    throw new Error('no Docker engine answers: start Docker Desktop, or install it from https://docs.docker.com/get-docker/');
  installPackages(['docker.io', 'iptables'], ['/usr/sbin/dockerd', '/usr/sbin/iptables'], announce);
  if (existsSync('/run/systemd/system')) {
    announce('starting the Docker engine with systemctl');
    asRoot(['systemctl', 'start', 'docker']);
    await waitForEngine(host);
  } else {
    await startDaemon(host, announce);
  }
  if (!isRoot()) letUserIn(announce);
  if ((await engineState(host)) === 'forbidden') await enterGroup(host, announce);
}

/** Of an engine that was installed and started here for this user, and by nobody else for anybody else. */
function letUserIn(announce) {
  const { username } = userInfo();
  if (isMember(username)) return;
  announce(`adding ${username} to the group docker, who may use the engine: that is as much as root on this machine`);
  asRoot(['usermod', '-aG', 'docker', username]);
}

/** A session does not know of a membership that came after its login: the same command is run again in one that does. */
async function enterGroup(host, announce) {
  const { username } = userInfo();
  if (!isMember(username) || process.env.KILN_ENTERED_GROUP !== undefined || !existsSync('/usr/bin/sg')) throw new Error(forbidden(host));
  announce('this session does not know yet that you are in the group docker: going on as a member');
  const command = [process.execPath, ...process.argv.slice(1)].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const child = spawn('sg', ['docker', '-c', `exec ${command}`], { stdio: 'inherit', env: { ...process.env, KILN_ENTERED_GROUP: '1' } });
  // A terminal sends Ctrl-C to the child too.
  process.on('SIGINT', () => undefined).on('SIGTERM', () => child.kill('SIGTERM'));
  process.exit(await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1))));
}

function isMember(username) {
  return execFileSync('id', ['-nG', username], { encoding: 'utf8' }).trim().split(' ').includes('docker');
}

function isRoot() {
  return process.getuid?.() === 0;
}

function forbidden(host) {
  const { username } = userInfo();
  return `the Docker engine at ${host} runs, but ${username} may not use it: let ${username} in (that is as much as root on this machine) with: sudo usermod -aG docker ${username}; then log in again and run this again`;
}

/** A daemon that was killed leaves pid files that make the next start fail, and that start may fail once for itself. */
async function startDaemon(host, announce) {
  const [program, ...args] = rootCommand(['dockerd']);
  for (let attempt = 1; ; attempt += 1) {
    announce(attempt === 1 ? 'starting the Docker engine' : `starting the Docker engine, try ${attempt} of ${START_TRIES}`);
    removeStalePidFile('/var/run/docker.pid', 'dockerd');
    removeStalePidFile('/var/run/docker/containerd/containerd.pid', 'containerd');
    const logFile = join(process.env.KILN_HOME ?? join(homedir(), '.kiln'), 'logs', 'dockerd.log');
    mkdirSync(join(logFile, '..'), { recursive: true });
    const log = openSync(logFile, 'a');
    const daemon = spawn(program, args, { detached: true, stdio: ['ignore', log, log] });
    const exited = new Promise((resolve) => daemon.once('exit', () => resolve('exited')));
    daemon.unref();
    const outcome = await Promise.race([
      waitForEngine(host).then(
        () => 'up',
        () => 'silent',
      ),
      exited,
    ]);
    if (outcome === 'up') return;
    // One that was started through sudo is not this user's to kill: sudo passes the signal on.
    if (outcome === 'silent') daemon.kill(isRoot() ? 'SIGKILL' : 'SIGTERM');
    if (attempt === START_TRIES) throw new Error(`the Docker engine does not come up; its log is ${logFile}`);
  }
}

function removeStalePidFile(file, program) {
  if (!existsSync(file)) return;
  const pid = readFileSync(file, 'utf8').trim();
  if (!isProgram(pid, program)) asRoot(['rm', '-f', file]);
}

function isProgram(pid, program) {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith(program);
  } catch {
    return false; // No such process.
  }
}

async function waitForEngine(host) {
  for (const deadline = Date.now() + START_TIMEOUT_MS; ; await delay(100)) {
    const state = await engineState(host);
    if (state !== 'absent') return;
    if (Date.now() > deadline) throw new Error('the Docker engine was started but does not answer');
  }
}
