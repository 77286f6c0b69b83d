import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Config } from './config.js';

const MAX_MS = 5000;
const MAX_BYTES = 1024 * 1024;
/** Reading starts no program that a repository names, and writes nothing. */
const QUIETLY = ['--no-optional-locks', '-c', 'core.fsmonitor=false', '-c', 'log.showSignature=false'];

/** What a git command prints; undefined where it fails, or takes too long, or there is no git. */
export async function askGit({ inherited }: Pick<Config, 'inherited'>, args: readonly string[], cwd = '/'): Promise<string | undefined> {
  // Which repository is meant is said by the folder, also inside a hook of another one.
  const own = Object.entries(inherited).filter(([name]) => !name.startsWith('GIT_'));
  const env = { ...Object.fromEntries(own), LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0' };
  try {
    return (await promisify(execFile)('git', [...QUIETLY, ...args], { cwd, env, timeout: MAX_MS, maxBuffer: MAX_BYTES })).stdout;
  } catch {
    return undefined;
  }
}
