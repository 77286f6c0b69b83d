import { type ChildProcess, spawn } from 'node:child_process';
import { KilnError } from '@kiln/contract/errors';
import { resetPriority } from '@kiln/service/process-priority';
import { COMMAND_MS } from './limits.js';

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const MAX_STDERR_CHARS = 4000;
/** Time after SIGTERM, in which git removes half-written files. */
const KILL_MS = 5000;

export interface GitCommand {
  args: readonly string[];
  env: Record<string, string>;
  signal?: AbortSignal;
}

/** A git command that failed or passed a bound. */
export class GitFailure extends Error {}

/** Runs one git command without a shell. @throws KilnError `unavailable` where git is missing; GitFailure past a bound */
export async function runGit({ args, env, signal }: GitCommand): Promise<{ code: number; stdout: Buffer; stderr: string }> {
  const either = AbortSignal.any([AbortSignal.timeout(COMMAND_MS), ...(signal === undefined ? [] : [signal])]);
  const child = spawn('git', args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  if (child.pid !== undefined) resetPriority(child.pid);
  const code = exitOf(child);
  const kill = () => child.kill('SIGKILL');
  either.addEventListener('abort', kill);
  const stderr = keepText(child);
  const chunks: Buffer[] = [];
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_OUTPUT_BYTES) kill();
    else chunks.push(chunk);
  });
  try {
    const ended = await code;
    signal?.throwIfAborted();
    if (either.aborted) throw new GitFailure(`git ${args[0]} took longer than ${COMMAND_MS / 1000} s`);
    if (bytes > MAX_OUTPUT_BYTES) throw new GitFailure(`git ${args[0]} wrote more than ${MAX_OUTPUT_BYTES} bytes`);
    return { code: ended, stdout: Buffer.concat(chunks), stderr: stderr() };
  } finally {
    either.removeEventListener('abort', kill);
  }
}

/** Runs a git command that must end with code 0. @throws GitFailure with git's message */
export async function gitText(command: GitCommand): Promise<string> {
  const { code, stdout, stderr } = await runGit(command);
  if (code !== 0) throw new GitFailure(`git ${command.args[0]} ended with ${code}: ${stderr.trim()}`);
  return stdout.toString('utf8');
}

/** Resolves with the exit code when the process has ended and its output is read; -1 for a signal. */
export function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => reject(error.code === 'ENOENT' ? noGit(error) : error));
    child.once('close', (code) => resolve(code ?? -1));
  });
}

/** Keeps the end of the process's stderr. */
export function keepText(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-MAX_STDERR_CHARS);
  });
  return () => text;
}

/** Ends a process and all its children; it must be the leader of its process group. */
export function endGroup(child: ChildProcess): void {
  signalGroup(child, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), KILL_MS).unref();
  child.once('close', () => clearTimeout(timer));
}

function signalGroup({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function noGit(cause: Error): KilnError {
  return new KilnError('unavailable', 'git is not installed where the router runs', {
    fix: 'install git there, or use: kiln deploy',
    cause,
  });
}
