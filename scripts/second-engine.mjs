#!/usr/bin/env node
// Runs a command beside a Docker engine of another kind than the machine's: Debian 13's 26.1 or forky's 28, with either image store. The engine
// has namespaces, data and a socket of its own, and ends with the command; the machine's engine is only asked for its base images.
//
//   node scripts/second-engine.mjs [--suite trixie|forky] [--storage containerd|classic] [--image NAME ...] -- COMMAND ...
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { FUNCTION_IMAGES } from './base-images.mjs';
import { engineHost, engineState } from './engine/engine-api.mjs';
import { closeLink, openLink } from './second-engine/link.mjs';
import { ensureRoot } from './second-engine/root.mjs';
import { ROOTS } from './system/debootstrap.mjs';
import { installPackages } from './system/packages.mjs';
import { nodePath } from './tools.mjs';

const NAME = 'kiln2e';
const INSIDE = join(import.meta.dirname, 'second-engine', 'inside.mjs');

/** Why there can't be one here; undefined where there can. */
export function whyNoSecondEngine() {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid() !== 0) return 'it needs root';
  if (!existsSync('/usr/sbin/debootstrap') && !existsSync('/usr/bin/apt-get')) return 'it needs debootstrap';
  return undefined;
}

/** @returns the exit code of the command */
export async function runBesideSecondEngine({ suite = 'trixie', storage = 'containerd', images = FUNCTION_IMAGES, command }, announce) {
  const why = whyNoSecondEngine();
  if (why !== undefined) throw new Error(`a second Docker engine can't be had: ${why}`);
  installPackages(['iproute2', 'iptables', 'util-linux'], ['/usr/sbin/iptables', '/usr/bin/nsenter', '/sbin/ip'], announce);
  removeLeftovers();
  const root = ensureRoot(suite, announce);
  const name = `${NAME}${process.pid}`;
  const [folder, runtime] = [join(ROOTS, `run-${process.pid}`), `/run/${name}`];
  mkdirSync(folder, { recursive: true });
  const link = openLink(name);
  try {
    const from = engineHost();
    const known = (await engineState(from)) === 'answers' ? { from } : {};
    announce(`starting Docker of Debian ${suite}, image store ${storage}`);
    return await runInNamespaces(link.namespace, { root, folder, runtime, storage, images, command, ...known });
  } finally {
    link.close();
    for (const left of [folder, runtime]) rmSync(left, { recursive: true, force: true });
  }
}

/** The shell is the first process of its namespace and takes care of orphans; when this process ends in any way, so does it, and all with it. */
function runInNamespaces(namespace, settings) {
  const inNamespaces = ['nsenter', `--net=${namespace}`, 'unshare', '--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc'];
  const first = ['bash', '-c', '"$@"; exit $?', 'bash', nodePath(), INSIDE, JSON.stringify(settings)];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...inNamespaces, ...first], { stdio: 'inherit' });
  // A terminal sends Ctrl-C to all of them, and they end in order; any other end is at once.
  const wait = () => undefined;
  const kill = () => child.kill('SIGKILL');
  process.on('SIGINT', wait).on('SIGTERM', kill);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  }).finally(() => {
    process.off('SIGINT', wait).off('SIGTERM', kill);
  });
}

/** Of runs that were killed. */
function removeLeftovers() {
  const runs = existsSync(ROOTS) ? readdirSync(ROOTS).filter((name) => name.startsWith('run-')) : [];
  for (const run of runs) {
    const pid = run.slice('run-'.length);
    if (existsSync(`/proc/${pid}`)) continue;
    closeLink(`${NAME}${pid}`);
    for (const left of [join(ROOTS, run), `/run/${NAME}${pid}`]) rmSync(left, { recursive: true, force: true });
  }
}

async function main() {
  const options = { suite: { type: 'string' }, storage: { type: 'string' }, image: { type: 'string', multiple: true } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const { image: more = [], ...chosen } = values;
  if (positionals.length === 0) throw new Error('name a command: node scripts/second-engine.mjs -- COMMAND ...');
  return await runBesideSecondEngine({ ...chosen, images: [...FUNCTION_IMAGES, ...more], command: positionals }, announce);
}

function announce(line) {
  process.stderr.write(`kiln: ${line}\n`);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    process.exitCode = await main();
  } catch (error) {
    announce(error.message);
    process.exitCode = 1;
  }
}
