import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Config } from './config.js';

const MAX_MS = 5000;
const MAX_BYTES = 1024 * 1024;
/** With these, git starts no program that the repository configures, and writes nothing. */
const QUIETLY = ['--no-optional-locks', '-c', 'core.fsmonitor=false', '-c', 'log.showSignature=false'];

/** The output of a git command; undefined when it fails, takes too long, or git is not installed. */
export async function askGit({ inherited }: Pick<Config, 'inherited'>, args: readonly string[], cwd = '/'): Promise<string | undefined> {
  // The folder alone chooses the repository, even when this runs inside a hook of another one.
  const own = Object.entries(inherited).filter(([name]) => !name.startsWith('GIT_'));
  const env = { ...Object.fromEntries(own), LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0' };
  try {
    return (await promisify(execFile)('git', [...QUIETLY, ...args], { cwd, env, timeout: MAX_MS, maxBuffer: MAX_BYTES })).stdout;
  } catch {
    return undefined;
  }
}
