// A Docker engine to work with. One that answers is used as it is, and never touched. None: it is installed and started.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asRoot, installPackages } from './packages.mjs';

const START_TRIES = 5;
const START_TIMEOUT_MS = 30_000;
const DEFAULT_HOST = 'unix:///var/run/docker.sock';

export async function ensureEngine(announce) {
  const host = process.env.DOCKER_HOST ?? DEFAULT_HOST;
  if (await engineAnswers(host)) return;
  if (host !== DEFAULT_HOST)
    throw new Error(`no Docker engine answers at DOCKER_HOST=${host}: start it, or unset DOCKER_HOST to use this machine's own`);
  if (process.platform !== 'linux')
    throw new Error('no Docker engine answers: start Docker Desktop, or install it from https://docs.docker.com/get-docker/');
  installPackages(['docker.io', 'iptables'], ['/usr/sbin/dockerd', '/usr/sbin/iptables'], announce);
  if (existsSync('/run/systemd/system')) {
    announce('starting the Docker engine with systemctl');
    asRoot(['systemctl', 'start', 'docker']);
    return waitForEngine(host);
  }
  await startDaemon(host, announce);
}

/** A daemon that was killed leaves pid files that make the next start fail, and that start may fail once for itself. */
async function startDaemon(host, announce) {
  if (process.getuid?.() !== 0)
    throw new Error('no Docker engine answers and this machine has no systemd: start one as root with: dockerd');
  for (let attempt = 1; ; attempt += 1) {
    announce(attempt === 1 ? 'starting the Docker engine' : `starting the Docker engine, try ${attempt} of ${START_TRIES}`);
    removeStalePidFile('/var/run/docker.pid', 'dockerd');
    removeStalePidFile('/var/run/docker/containerd/containerd.pid', 'containerd');
    const logFile = join(process.env.KILN_HOME ?? join(homedir(), '.kiln'), 'logs', 'dockerd.log');
    mkdirSync(join(logFile, '..'), { recursive: true });
    const log = openSync(logFile, 'a');
    const daemon = spawn('dockerd', [], { detached: true, stdio: ['ignore', log, log] });
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
    if (outcome === 'silent') daemon.kill('SIGKILL');
    if (attempt === START_TRIES) throw new Error(`the Docker engine does not come up; its log is ${logFile}`);
  }
}

function removeStalePidFile(file, program) {
  if (!existsSync(file)) return;
  const pid = readFileSync(file, 'utf8').trim();
  if (!isProgram(pid, program)) rmSync(file, { force: true });
}

function isProgram(pid, program) {
  try {
    return readlinkSync(`/proc/${pid}/exe`).split('/').pop().startsWith(program);
  } catch {
    return false; // No such process.
  }
}

async function waitForEngine(host) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await engineAnswers(host))) {
    if (Date.now() > deadline) throw new Error('the Docker engine was started but does not answer');
    await delay(100);
  }
}

function engineAnswers(host) {
  if (!host.startsWith('unix://')) return spawnSync('docker', ['version'], { stdio: 'ignore', timeout: 10_000 }).status === 0;
  return new Promise((resolve) => {
    const ping = request({ socketPath: host.slice('unix://'.length), path: '/_ping', timeout: 5_000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    ping.on('timeout', () => ping.destroy());
    ping.on('error', () => resolve(false));
    ping.end();
  });
}
