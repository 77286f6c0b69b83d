import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** On every Linux that Node runs on. */
const MS_PER_TICK = 10;

/** A process that can still be told apart when its id has been given to another. */
export interface KnownProcess {
  pid: number;
  /** When it began, in whatever form this system tells it. */
  started: string;
}

/** @returns undefined when there is no such process. */
export function identify(pid: number): KnownProcess | undefined {
  const started = startOf(pid);
  return started === undefined ? undefined : { pid, started };
}

export function isAlive({ pid, started }: KnownProcess): boolean {
  return startOf(pid) === started;
}

/** SIGTERM, then after the bound SIGKILL to it and to all it started. Nothing happens to another process of the same id. */
export async function end(process: KnownProcess, boundMs: number): Promise<void> {
  signal(process, 'SIGTERM');
  if (await gone(process, boundMs)) return;
  signal(process, 'SIGKILL');
  await gone(process, 5000);
}

export async function gone(process: KnownProcess, boundMs: number): Promise<boolean> {
  const deadline = performance.now() + boundMs;
  while (isAlive(process)) {
    if (performance.now() > deadline) return false;
    await delay(50);
  }
  return true;
}

export function signal(known: KnownProcess, name: NodeJS.Signals): void {
  if (!isAlive(known)) return;
  try {
    process.kill(known.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Processor time of a process and of its children that have ended; 0 where this system does not tell. */
export function cpuMs(pid: number): number {
  const ticks = statOf(pid)?.slice(11, 15).map(Number) ?? [];
  return ticks.reduce((sum, each) => sum + each, 0) * MS_PER_TICK;
}

function startOf(pid: number): string | undefined {
  if (process.platform !== 'linux') return startByPs(pid);
  const fields = statOf(pid);
  return fields?.[0] === 'Z' ? undefined : fields?.[19];
}

/** What the kernel says of a process, from its state on. */
function statOf(pid: number): string[] | undefined {
  try {
    // The second field is the program's name in brackets, which may hold spaces and brackets itself.
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
  } catch {
    return undefined; // No such process.
  }
}

function startByPs(pid: number): string | undefined {
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined; // ps fails for a process that is not there.
  }
}
