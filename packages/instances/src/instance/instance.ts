import type { KilnError } from '@kiln/contract/errors';
import type { InstanceRecord } from '@kiln/contract/records/records';
import type { InstanceLog } from '../logs/instance-log.js';
import type { FunctionVersion, RunningContainer } from '../port/container-driver.js';
import type { Access } from './access.js';
import { type Census, InstanceLife, type InstanceState } from './instance-state.js';

/** A line that arrives this shortly after the only request ended still belongs to it: output travels through the engine. */
const LINE_DELAY_MS = 250;
/** Node's timers take no longer one. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

type HeldLease = { readonly requestId: string };

/** One container's worth of a version, from the promise to make it until it is confirmed gone. */
export class Instance {
  readonly life: InstanceLife;
  readonly leases = new Set<HeldLease>();
  readonly startedAt = new Date();
  access: Access | undefined;
  container: RunningContainer | undefined;
  log: InstanceLog | undefined;
  /** On the monotonic clock; set when it becomes ready. */
  readyAt = 0;
  /** When its last request ended. */
  idleSince = 0;
  /** Requests that it was given. */
  served = 0;
  /** Whether anybody has a use for it: asked before each step of its start, until the engine's work begins. */
  needed: () => boolean = always;
  /** What its start waits for, told to those who wait for it in vain. */
  obstacle: (() => KilnError) | undefined;
  /** Its memory. */
  hasMemory = false;
  /** Gives back what was taken for it, once it is gone. */
  readonly held: (() => void)[] = [];
  /** Started ahead of any request: not at the cost of an instance that may be wanted. */
  ahead = false;
  /** Takes no more leases, and gets no grace when it ends. */
  condemned = false;
  private lastRequest: string | undefined;
  private idleTimer: NodeJS.Timeout | undefined;
  private idleLimit = 0;

  constructor(
    readonly id: string,
    readonly version: FunctionVersion,
    censuses: readonly Census[],
  ) {
    this.life = new InstanceLife(censuses);
  }

  get state(): InstanceState {
    return this.life.state;
  }

  get hasRoom(): boolean {
    return !this.condemned && this.leases.size < this.version.config.concurrency;
  }

  added(lease: HeldLease): void {
    this.leases.add(lease);
    this.served++;
    if (this.life.state === 'idle') this.life.transition('busy');
  }

  ended(lease: HeldLease, now: number): void {
    this.leases.delete(lease);
    this.lastRequest = lease.requestId;
    this.idleSince = now;
    if (this.leases.size === 0 && this.life.state === 'busy') this.life.transition('idle');
  }

  /** Nothing more is waited for, its readiness included. */
  abandon(): void {
    this.condemned = true;
    this.access?.destroy();
  }

  /** The request that a line of raw output belongs to, where there is no doubt. */
  requestOfOutput(now: number): string | undefined {
    if (this.leases.size > 1) return undefined;
    for (const lease of this.leases) return lease.requestId || undefined;
    return now - this.idleSince < LINE_DELAY_MS ? this.lastRequest || undefined : undefined;
  }

  /**
   * Calls back once it has been idle for `limit` ms, counted from the end of its last request. One timer per instance that looks
   * again when it fires: a warm request sets and clears none.
   */
  onIdleFor(limit: number, callback: () => void): void {
    if (this.idleTimer !== undefined && this.idleLimit === limit) return;
    clearTimeout(this.idleTimer);
    this.idleLimit = limit;
    const look = () => {
      this.idleTimer = undefined;
      if (this.state !== 'idle') return;
      const left = this.idleSince + limit - performance.now();
      if (left > 0) this.idleTimer = setTimeout(look, Math.min(left, LONGEST_TIMER_MS));
      else callback();
    };
    this.idleTimer = setTimeout(look, Math.min(limit, LONGEST_TIMER_MS));
  }

  record(node: string): InstanceRecord {
    const { function: name, version } = this.version;
    return {
      id: this.id,
      function: name,
      version,
      node,
      state: this.state,
      leases: this.leases.size,
      startedAt: this.startedAt.toISOString(),
    };
  }
}

function always(): boolean {
  return true;
}
