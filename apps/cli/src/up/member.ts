import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { LogFile } from './files/log-file.js';
import type { Work } from './patience.js';
import { cpuMs } from './processes.js';

export interface MemberSpec {
  /** `router`, `redis`, or a node's id. */
  name: string;
  /** The name in messages. */
  title: string;
  command: string;
  args: string[];
  env: Record<string, string | undefined>;
  logFile: string;
  /** Opens a channel; its end tells a Node program that the supervisor is gone. */
  channel: boolean;
}

export interface MemberHooks {
  spawned(member: SupervisedProcess, pid: number): void;
  died(member: SupervisedProcess, how: string, againInMs: number): void;
}

const FIRST_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 10_000;
/** After running this long, a process counts as recovered: its back-off starts from the first value again. */
const RECOVERED_MS = 30_000;

/** One child process, restarted until it is stopped. */
export class SupervisedProcess {
  readonly log: LogFile;
  private child: ChildProcess | undefined;
  private ended: Promise<void> = Promise.resolve();
  private again: NodeJS.Timeout | undefined;
  private stopping = false;
  private backoffMs = FIRST_BACKOFF_MS;

  constructor(
    readonly spec: MemberSpec,
    private readonly hooks: MemberHooks,
  ) {
    this.log = new LogFile(spec.logFile);
  }

  /** The work of its process so far. */
  get work(): Work {
    return { cpuMs: this.child?.pid === undefined ? 0 : cpuMs(this.child.pid), logged: this.log.size };
  }

  start(): void {
    const { command, args, env, channel } = this.spec;
    const handle = this.log.open();
    const startedAt = performance.now();
    try {
      // A separate process group: Ctrl-C reaches only the supervisor, which then stops its children in order.
      this.child = spawn(command, args, { env, detached: true, stdio: ['ignore', handle, handle, ...(channel ? ['ipc' as const] : [])] });
    } finally {
      closeSync(handle);
    }
    const child = this.child;
    this.ended = new Promise((resolve) => {
      const settle = (how: string) => {
        if (this.child !== child) return;
        this.child = undefined;
        resolve();
        if (!this.stopping) this.startAgain(how, performance.now() - startedAt);
      };
      child.once('error', (error) => settle(error.message));
      child.once('exit', (code, signal) => settle(signal ?? `exit code ${code}`));
    });
    if (child.pid !== undefined) this.hooks.spawned(this, child.pid);
  }

  /** Sends SIGTERM; after the bound, sends SIGKILL to the process and all that it started. */
  async stop(boundMs: number): Promise<'ended' | 'killed'> {
    this.stopping = true;
    clearTimeout(this.again);
    if (!this.child) return 'ended';
    this.child.kill('SIGTERM');
    const timeout = new AbortController();
    const inTime = await Promise.race([this.ended.then(() => true), delay(boundMs, false, { signal: timeout.signal }).catch(() => false)]);
    timeout.abort();
    if (inTime) return 'ended';
    this.kill();
    await this.ended;
    return 'killed';
  }

  kill(): void {
    this.stopping = true;
    clearTimeout(this.again);
    const pid = this.child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  private startAgain(how: string, ranMs: number): void {
    if (ranMs > RECOVERED_MS) this.backoffMs = FIRST_BACKOFF_MS;
    const waitMs = this.backoffMs;
    this.backoffMs = Math.min(MAX_BACKOFF_MS, waitMs * 2);
    this.again = setTimeout(() => this.start(), waitMs);
    this.hooks.died(this, how, waitMs);
  }
}
