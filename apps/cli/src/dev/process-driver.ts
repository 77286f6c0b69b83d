import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import { KINDS } from '@kiln/contract/kinds';
import type { ContainerDriver, ContainerRequest, Exit, RunningContainer } from '@kiln/instances/port/container-driver';

/** A connection closes a moment before the end of its process is known. */
const EXIT_NEWS_MS = 1000;
/** As a shell tells of a process that a signal ended. */
const SIGNAL_CODE = 128;
const HERE = '127.0.0.1';

/** What to run for an instance. */
export interface ProcessSpec {
  command: string;
  args: readonly string[];
  cwd: string;
  env: Record<string, string | undefined>;
}

/** Processes of this machine in the place of containers: no limit of memory or processor holds them. */
export class ProcessDriver implements ContainerDriver {
  private readonly running = new Set<RunningProcess>();

  /** @param specOf what an instance runs */
  constructor(private readonly specOf: (request: ContainerRequest) => ProcessSpec) {}

  /** Processes that have not ended. */
  get size(): number {
    return this.running.size;
  }

  admit(): void {}

  async start(request: ContainerRequest): Promise<RunningContainer> {
    const { command, args, cwd, env } = this.specOf(request);
    const child = spawn(command, args, { cwd, env: env as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const source of ['stdout', 'stderr'] as const) {
      child[source].on('data', (chunk: Buffer) => request.onOutput(source, chunk));
    }
    const process = new RunningProcess(child, KINDS[request.version.kind].reachedBy === 'address' ? HERE : undefined);
    this.running.add(process);
    void process.exited.then(() => this.running.delete(process));
    const fault = await process.started;
    if (fault !== undefined) throw new KilnError('start_failed', `it can't be started: ${fault.message}`, { cause: fault });
    return process;
  }

  /** Resolves when none is left. */
  async gone(): Promise<void> {
    while (this.running.size > 0) await Promise.all([...this.running].map(({ exited }) => exited));
  }
}

class RunningProcess implements RunningContainer {
  /** Undefined, or why it could not be started. */
  readonly started: Promise<Error | undefined>;
  readonly ended: Promise<void>;
  readonly exited: Promise<Exit>;
  readonly lackedMemory = false;

  constructor(
    private readonly child: ChildProcess,
    readonly address: string | undefined,
  ) {
    const failed = new Promise<Error>((resolve) => child.once('error', resolve));
    this.started = Promise.race([failed, new Promise<undefined>((resolve) => child.once('spawn', () => resolve(undefined)))]);
    this.ended = Promise.race([failed.then(() => undefined), new Promise<void>((resolve) => child.once('exit', () => resolve()))]);
    // Not `exit`: what it wrote is handed over first.
    this.exited = new Promise((resolve) =>
      child.once('close', (code, signal) => resolve({ code: codeOf(code, signal), outOfMemory: false })),
    );
  }

  get id(): string {
    return String(this.child.pid);
  }

  exitNews(): Promise<Exit | undefined> {
    return Promise.race([this.exited, delay(EXIT_NEWS_MS, undefined, { ref: false })]);
  }

  async remove(graceMs: number): Promise<void> {
    // A second SIGTERM means "at once" to many programs.
    if (graceMs === 0) this.child.kill('SIGKILL');
    else if (!this.child.killed) this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), graceMs);
    await this.exited;
    clearTimeout(timer);
  }
}

function codeOf(code: number | null, signal: NodeJS.Signals | null): number {
  if (code !== null) return code;
  return signal === null ? SIGNAL_CODE : SIGNAL_CODE + constants.signals[signal];
}
