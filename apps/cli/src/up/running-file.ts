import { readFileSync, rmSync } from 'node:fs';
import { KilnError } from '@kiln/contract/errors';
import { z } from 'zod';
import { writePrivate } from './files/private-file.js';
import { identify, isAlive, type KnownProcess } from './processes.js';

const knownProcess = z.object({ pid: z.int().min(1), started: z.string() });
const runningFile = z.object({
  supervisor: knownProcess,
  children: z.record(z.string(), knownProcess),
  /** The data and the control port of its router. */
  ports: z.array(z.int()).default([]),
});
export type Running = z.infer<typeof runningFile>;

/** A lock against a second `kiln up` for a KILN_HOME, and the list by which the next one ends the processes of a killed one. */
export class RunningFile {
  private children: Record<string, KnownProcess> = {};

  private constructor(
    private readonly file: string,
    private readonly supervisor: KnownProcess,
    /** The file of the last `kiln up`, if it did not end in order. */
    readonly left: Running | undefined,
    private readonly ports: number[],
  ) {}

  /** @throws KilnError `conflict` when another `kiln up` runs */
  static take(file: string, ports: number[] = []): RunningFile {
    const left = readRunning(file);
    if (left && isAlive(left.supervisor)) throw alreadyRunning(left.supervisor.pid);
    const supervisor = identify(process.pid);
    if (!supervisor) throw new Error('this process is missing in /proc');
    const taken = new RunningFile(file, supervisor, left, ports);
    taken.children = left?.children ?? {};
    taken.write();
    // Two processes may have found the same stale file: the last writer owns it.
    const now = readRunning(file);
    if (now?.supervisor.pid !== process.pid) throw alreadyRunning(now?.supervisor.pid);
    return taken;
  }

  setChild(name: string, pid: number): void {
    const child = identify(pid);
    if (child) this.children[name] = child;
    else delete this.children[name];
    this.write();
  }

  forgetLeft(): void {
    this.children = {};
    this.write();
  }

  release(): void {
    forgetRunning(this.file);
  }

  private write(): void {
    const { supervisor, children, ports } = this;
    writePrivate(this.file, JSON.stringify({ supervisor, children, ports } satisfies Running));
  }
}

/** @returns undefined when the file is missing or damaged: earlier processes are then unknown */
export function readRunning(file: string): Running | undefined {
  try {
    return runningFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Removes the file of a `kiln up` that has ended. */
export function forgetRunning(file: string): void {
  rmSync(file, { force: true });
}

function alreadyRunning(pid: number | undefined): KilnError {
  return new KilnError('conflict', `another kiln up runs for this KILN_HOME (process ${pid ?? 'unknown'})`, {
    fix: 'use it (kiln status), stop it (kiln down), or set another KILN_HOME',
  });
}
