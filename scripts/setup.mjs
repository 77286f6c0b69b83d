// Everything a fresh machine needs, in order; each step looks first and says what it does. A second run does nothing.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ensureBaseImages, FUNCTION_IMAGES } from './base-images.mjs';
import { ensureEngine } from './engine/engine.mjs';
import { installPackages, stopService } from './system/packages.mjs';
import { ensureTools, pnpmPath, ROOT, toolEnvironment } from './tools.mjs';

export const announce = (line) => process.stderr.write(`kiln: ${line}\n`);

export async function setUp() {
  ensureTools(announce);
  installDependencies();
  build();
  ensureRedis();
  ensureGit();
  await ensureEngine(announce);
  await ensureBaseImages(FUNCTION_IMAGES, announce);
}

/** Runs a program of the workspace's with the right Node; its output is the user's. */
export function run(program, args, options = {}) {
  execFileSync(program, args, { cwd: ROOT, stdio: 'inherit', env: toolEnvironment(), ...options });
}

export function installDependencies() {
  if (!existsSync(join(ROOT, 'node_modules'))) announce('installing the workspace’s dependencies');
  run(pnpmPath(), ['install', '--frozen-lockfile', '--silent'], { stdio: ['ignore', 'ignore', 'inherit'] });
}

export function build() {
  if (!existsSync(join(ROOT, 'apps/cli/dist'))) announce('building');
  run(pnpmPath(), ['exec', 'turbo', 'run', 'build', '--output-logs=errors-only', '--log-order=grouped', '--no-update-notifier'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

export function ensureRedis(program = '/usr/bin/redis-server') {
  if (process.env.KILN_REDIS_URL) return;
  if (isInPath('redis-server')) return;
  // A Redis that was there before is somebody's, and is left alone.
  if (installPackages(['redis-server'], [program], announce)) stopService('redis-server', announce);
}

/** For `git push kiln main`: the router serves pushes with git's own programs. */
function ensureGit() {
  if (!isInPath('git')) installPackages(['git'], ['/usr/bin/git'], announce);
}

function isInPath(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
}

/** Reports a failed step as one plain line: a stack trace helps nobody here. */
export async function main(steps) {
  try {
    await steps();
  } catch (error) {
    announce(error instanceof Error ? error.message : String(error));
    process.exitCode = typeof error?.status === 'number' && error.status > 0 ? error.status : 1;
  }
}
