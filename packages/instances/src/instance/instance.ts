import type { KilnError } from '@kiln/contract/errors';
import type { InstanceRecord } from '@kiln/contract/records/records';
import type { StartKind } from '@kiln/contract/wire/headers';
import type { InstanceLog } from '../logs/instance-log.js';
import type { FunctionVersion, RunningContainer } from '../port/container-driver.js';
import type { Access } from './access.js';

/** A line that arrives this shortly after the only request ended still belongs to it: output travels through the engine. */
const LINE_DELAY_MS = 250;
/** What an instance that ends has at least, where its place is needed. */
const LEAST_GRACE_MS = 1000;
/** Node's timers take no longer one. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What an instance can be. `removed` is the end: its container is confirmed gone. */
export type InstanceState = 'created' | 'starting' | 'idle' | 'busy' | 'draining' | 'stopping' | 'failed' | 'removed';

/** Every move there is. `created`: promised, no container yet. `draining`: ends with its last lease. `failed`: never became ready. */
const MOVES: Record<InstanceState, readonly InstanceState[]> = {
  created: ['starting', 'stopping', 'failed'],
  starting: ['idle', 'failed'],
  idle: ['busy', 'stopping'],
  busy: ['idle', 'draining', 'stopping'],
  draining: ['stopping'],
  stopping: ['removed'],
  failed: ['removed'],
  removed: [],
};

const NONE: Record<InstanceState, number> = { created: 0, starting: 0, idle: 0, busy: 0, draining: 0, stopping: 0, failed: 0, removed: 0 };

/** How many instances are in each state, and how many ever entered it. Only transitions write here, so numbers can't drift. */
export class Census {
  readonly now = { ...NONE };
  readonly ever = { ...NONE };

  /** Instances that exist: all but the removed. */
  get existing(): number {
    const { created, starting, idle, busy, draining, stopping, failed } = this.now;
    return created + starting + idle + busy + draining + stopping + failed;
  }

  /** On their way to being ready. */
  get coming(): number {
    return this.now.created + this.now.starting;
  }

  /** Ready and taking leases. */
  get serving(): number {
    return this.now.idle + this.now.busy;
  }

  enter(to: InstanceState, from?: InstanceState): void {
    if (from !== undefined) this.now[from]--;
    if (to !== 'removed') this.now[to]++;
    this.ever[to]++;
  }
}

/** The state of one instance and the only way to change it. */
export class InstanceLife {
  /** Only `transition` writes it. */
  state: InstanceState = 'created';

  /** Every census named counts this instance from now on. */
  constructor(private readonly censuses: readonly Census[]) {
    for (const census of censuses) census.enter('created');
  }

  /** @throws Error for a move that the table does not have: a fault of ours, never of a caller. */
  transition(to: InstanceState): void {
    const from = this.state;
    if (!MOVES[from].includes(to)) throw new Error(`an instance cannot go from ${from} to ${to}`);
    this.state = to;
    for (const census of this.censuses) census.enter(to, from);
  }
}

/** Why an instance is started. */
export interface StartReason {
  /** Whether anybody has a use for it still: asked before each step of its start, until the engine's work begins. */
  needed(): boolean;
  /** Ahead of any request: not at the cost of an instance that may be wanted. */
  readonly ahead: boolean;
  /** No instance of the version was ever ready, as far as is known here: it may be configured wrongly. */
  readonly untried: boolean;
}

/** One container's worth of a version, from the promise to make it until it is confirmed gone. */
export class Instance extends InstanceLife {
  readonly leases = new Set<Lease>();
  readonly startedAt = new Date();
  /** Set by its start, step by step. */
  access: Access | undefined;
  container: RunningContainer | undefined;
  log: InstanceLog | undefined;
  /** What its start waits for, told to those who wait for it in vain. */
  obstacle: (() => KilnError) | undefined;
  /** On the monotonic clock: when it became ready, and when its last request ended. */
  readyAt = 0;
  idleSince = 0;
  /** It was never given a request. */
  unused = true;
  /** Takes no more leases, and gets no grace when it ends. */
  condemned = false;
  private readonly held = new Map<'slot' | 'memory', () => void>();
  private stoppingSince = 0;
  private hurried = false;
  private lastRequest: string | undefined;
  private idleTimer: NodeJS.Timeout | undefined;
  private idleLimit = 0;

  constructor(
    readonly id: string,
    readonly version: FunctionVersion,
    censuses: readonly Census[],
    readonly reason: StartReason,
  ) {
    super(censuses);
  }

  becameReady(): void {
    this.readyAt = this.idleSince = performance.now();
    this.transition('idle');
  }

  /** Something scarce was taken for it. */
  hold(what: 'slot' | 'memory', giveBack: () => void): void {
    this.held.set(what, giveBack);
  }

  holds(what: 'slot' | 'memory'): boolean {
    return this.held.has(what);
  }

  override transition(to: InstanceState): void {
    super.transition(to);
    if (to === 'stopping') this.stoppingSince = performance.now();
  }

  /** Its place is needed: cuts its grace short, where it is ending. */
  hurry(): void {
    if (this.state !== 'stopping' || this.hurried || this.container === undefined) return;
    this.hurried = true;
    void this.container.remove(Math.max(0, this.stoppingSince + LEAST_GRACE_MS - performance.now()));
  }

  /** Nothing is left of it. */
  gone(): void {
    for (const giveBack of this.held.values()) giveBack();
    this.held.clear();
    this.transition('removed');
  }

  get hasRoom(): boolean {
    return !this.condemned && this.leases.size < this.version.config.concurrency;
  }

  added(lease: Lease): void {
    this.leases.add(lease);
    this.unused = false;
    if (this.state === 'idle') this.transition('busy');
  }

  ended(lease: Lease, now: number): void {
    this.leases.delete(lease);
    this.lastRequest = lease.requestId;
    this.idleSince = now;
    if (this.leases.size === 0 && this.state === 'busy') this.transition('idle');
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

  /** Calls back once it was idle for `limit` ms. One timer looks again when it fires: a warm request sets and clears none. */
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

/** How a request came to its instance, in ms. */
export interface Waited {
  start: StartKind;
  queueMs: number;
  startMs: number;
}

export const NOT_WAITED: Waited = { start: 'warm', queueMs: 0, startMs: 0 };

/** `since`: when the wait began, on the monotonic clock. */
export function waitedFor(instance: Instance, since: number): Waited {
  const ms = performance.now() - since;
  return instance.readyAt > since ? { start: 'cold', queueMs: 0, startMs: ms } : { start: 'warm', queueMs: ms, startMs: 0 };
}

/** The right to run one request in an instance. */
export class Lease {
  readonly since = performance.now();
  private released = false;

  constructor(
    readonly instance: Instance,
    readonly requestId: string,
    readonly waited: Waited,
    private readonly onRelease: (lease: Lease) => void,
  ) {
    instance.added(this);
  }

  /** Gives it back. Calling again does nothing. */
  release(): void {
    if (this.released) return;
    this.released = true;
    this.onRelease(this);
  }
}
