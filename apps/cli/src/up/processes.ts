import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const MS_PER_TICK = 10;

/** A process, with its start time: the system may give its id to another process later. */
export interface KnownProcess {
  pid: number;
  /** When it began, in ticks since the machine started. */
  started: string;
}

/** @returns undefined when no such process exists */
export function identify(pid: number): KnownProcess | undefined {
  const started = startOf(pid);
  return started === undefined ? undefined : { pid, started };
}

export function isAlive({ pid, started }: KnownProcess): boolean {
  return startOf(pid) === started;
}

/** Sends SIGTERM, and SIGKILL after the bound. Never signals another process with the same id. */
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

/** Processor time of a process and of its ended children; 0 without such a process. */
export function cpuMs(pid: number): number {
  const ticks = statOf(pid)?.slice(11, 15).map(Number) ?? [];
  return ticks.reduce((sum, each) => sum + each, 0) * MS_PER_TICK;
}

function startOf(pid: number): string | undefined {
  const fields = statOf(pid);
  return fields?.[0] === 'Z' ? undefined : fields?.[19];
}

/** The fields of a process in /proc, from its state on. */
function statOf(pid: number): string[] | undefined {
  try {
    // The second field is the program's name in brackets. The name may contain spaces and brackets itself.
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
  } catch {
    return undefined; // No such process.
  }
}
