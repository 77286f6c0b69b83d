// The two programs that everything here runs with, at one version on every machine: Node and pnpm, kept in `.tools`.
// Plain JavaScript for whatever Node the machine came with: this is what brings the right one.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const NODE_VERSION = '24.21.0';
const PNPM_VERSION = '12.21.0';

export const ROOT = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
/** What this checkout brings for itself, and works in. */
export const TOOLS = join(ROOT, '.tools');
const MODULES = join(TOOLS, 'node_modules');

/** The registry's package that holds Node's own binary for this machine (it has no install script). */
export function nodePackage() {
  return `node-${process.platform}-${process.arch}`;
}

function nodeIsRight(version) {
  return version.split('.')[0] === NODE_VERSION.split('.')[0];
}

/** The path of a Node of the right major: the one that runs this, else the one in `.tools`. */
export function nodePath() {
  return nodeIsRight(process.versions.node) ? process.execPath : join(MODULES, nodePackage(), 'bin', 'node');
}

export function pnpmPath() {
  return join(MODULES, '.bin', 'pnpm');
}

/** The environment in which children find the right Node and pnpm first. */
export function toolEnvironment() {
  const path = [join(nodePath(), '..'), join(MODULES, '.bin'), process.env.PATH].join(delimiter);
  return { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' };
}

/** Installs what is missing of Node and pnpm into `.tools`. */
export function ensureTools(announce) {
  const missing = [];
  if (!existsSync(nodePath())) missing.push(`${nodePackage()}@${NODE_VERSION}`);
  if (!existsSync(pnpmPath())) missing.push(`pnpm@${PNPM_VERSION}`);
  if (missing.length === 0) return;
  announce(`installing ${missing.join(' and ')} into .tools`);
  try {
    execFileSync(
      'npm',
      ['install', '--prefix', TOOLS, '--no-save', '--no-package-lock', '--silent', '--no-fund', '--no-audit', ...missing],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
  } catch {
    throw new Error(
      `could not install ${missing.join(' and ')}: install Node ${NODE_VERSION.split('.')[0]} (https://nodejs.org) yourself, check that npm reaches its registry, and run this again`,
    );
  }
}
