import { execFile } from 'node:child_process';
import { stat, statfs } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Config } from '../config.js';
import { homePaths } from '../home.js';
import { isFree } from '../up/ports.js';
import { isAlive } from '../up/processes.js';
import { readRunning } from '../up/running-file.js';
import { type Check, failedCheck, ok, warning } from './check.js';
import { checkGit } from './check-git.js';

const LEAST_NODE = 24;
const LITTLE_DISK_BYTES = 5 * 1024 ** 3;
const NO_DISK_BYTES = 512 * 1024 ** 2;

export async function checkMachine(config: Config): Promise<Check[]> {
  return [
    checkNode(),
    await checkRedis(config),
    await checkGit(config),
    await checkPort(config, config.KILN_HTTP_PORT, 'KILN_HTTP_PORT'),
    await checkPort(config, config.KILN_CONTROL_PORT, 'KILN_CONTROL_PORT'),
    ...(await checkPrivacy(config)),
    await checkDisk(config),
  ];
}

function checkNode(): Check {
  const major = Number(process.versions.node.split('.')[0]);
  return major >= LEAST_NODE
    ? ok('node', process.versions.node)
    : failedCheck('node', `this is Node ${process.versions.node}`, `use Node ${LEAST_NODE} or newer; npm start brings it`);
}

async function checkRedis({ KILN_REDIS_URL }: Config): Promise<Check> {
  if (KILN_REDIS_URL !== undefined) return ok('redis', 'KILN_REDIS_URL names one; kiln status shows whether it answers');
  try {
    const { stdout } = await promisify(execFile)('redis-server', ['--version'], { timeout: 10_000 });
    return ok('redis', `redis-server ${/v=(\S+)/.exec(stdout)?.[1] ?? 'found'}`);
  } catch {
    const fix = 'install it (apt-get install redis-server), or set KILN_REDIS_URL';
    return failedCheck('redis', 'there is no redis-server on this machine', fix);
  }
}

export async function checkPort({ KILN_HOME, KILN_BIND }: Config, port: number, variable: string): Promise<Check> {
  const name = `port ${port}`;
  const running = readRunning(homePaths(KILN_HOME).running);
  const { ports = [] } = running ?? {};
  // An older kiln up recorded no ports: assumes that it uses these.
  const isOurs = running !== undefined && isAlive(running.supervisor) && (ports.length === 0 || ports.includes(port));
  if (isOurs) return ok(name, `used by the kiln up of ${KILN_HOME} (process ${running.supervisor.pid})`);
  try {
    if (await isFree(KILN_BIND, port)) return ok(name, 'free');
    const taken = `taken on ${KILN_BIND} by another program, or by the Kiln of another KILN_HOME`;
    return failedCheck(name, taken, `stop that program, or set ${variable} to another port`);
  } catch (error) {
    return failedCheck(name, (error as Error).message, `set ${variable} or KILN_BIND to what this user may listen on`);
  }
}

async function checkPrivacy({ KILN_HOME }: Config): Promise<Check[]> {
  const paths = homePaths(KILN_HOME);
  const checks = await Promise.all([paths.credentials, paths.cluster].map(checkPrivate));
  const found = checks.filter((check) => check !== undefined);
  return found.length > 0 ? found : [ok('credentials', `none yet in ${KILN_HOME}: kiln up makes them`)];
}

async function checkPrivate(file: string): Promise<Check | undefined> {
  const found = await stat(file).catch(() => undefined);
  if (!found) return undefined;
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
  if ((found.mode & 0o077) === 0) return ok(file, `mode ${mode}, only its owner can read it`);
  return failedCheck(file, `mode ${mode}: others on this machine can read the key in it`, `chmod 600 ${file}, and make new keys`);
}

async function checkDisk({ KILN_HOME }: Config): Promise<Check> {
  const { bavail, bsize } = await statfs(KILN_HOME).catch(() => statfs('/'));
  const free = bavail * bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GB free`;
  const fix = 'make room: docker system df shows what the engine holds';
  if (free < NO_DISK_BYTES) return failedCheck('disk', detail, fix);
  return free < LITTLE_DISK_BYTES ? warning('disk', detail, fix) : ok('disk', detail);
}
