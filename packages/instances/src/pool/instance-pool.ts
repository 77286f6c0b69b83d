import { KilnError } from '@kiln/contract/errors';
import { Census, type Instance, Lease, NOT_WAITED, type StartReason, type Waited, waitedFor } from '../instance/instance.js';
import type { FunctionVersion } from '../port/container-driver.js';
import { withLastLines } from '../port/exit.js';
import { Refusal, StartDropped } from '../port/refusal.js';
import { leaseTimedOut, queueIsFull } from '../queue/queue-errors.js';
import { WAIT_MARGIN_MS, type Waiting, WaitQueue } from '../queue/wait-queue.js';
import type { Starter } from '../start/start-instance.js';
import type { KeepPolicy } from './keep-policy.js';
import { StartPlan } from './start-plan.js';
import { Trial } from './trial.js';

/** Idle instances of a version that is retired. */
const RETIRED_IDLE_MS = 500;
/** An instance that ends by itself this soon, unused, counts as one that failed to start. */
const SOON_MS = 1000;

/** What a pool needs of the node. */
export interface PoolNode {
  /** Makes an instance, not yet started. */
  create(version: FunctionVersion, census: Census, reason: StartReason): Instance;
  /** Brings it up until it is ready, so many side by side; whatever way that ends, `stop` follows. @throws KilnError, StartDropped */
  readonly starter: Pick<Starter, 'atOnce' | 'start'>;
  /** Ends it, without grace where it is condemned. Resolves when it is confirmed gone. Never rejects. */
  stop(instance: Instance): Promise<void>;
  /** A lease began (1) or ended (-1). */
  leased(version: FunctionVersion, change: 1 | -1): void;
}

/** The instances of one version on this node, and who waits. Bookkeeping is synchronous: a lease is claimed and booked in one step. */
export class InstancePool {
  readonly census = new Census();
  readonly instances = new Set<Instance>();
  private readonly waiters = new WaitQueue();
  private readonly plan: StartPlan;
  private trial: Trial | undefined;
  /** Ready instances with room; the one used last is used next, so that the others can grow old. */
  private readonly free: Instance[] = [];
  private yielding = false;
  /** Only `keepAs` writes it. */
  keepPolicy: KeepPolicy = 'wanted';
  private closed: KilnError | undefined;
  private retry: NodeJS.Timeout | undefined;

  constructor(
    readonly version: FunctionVersion,
    private readonly node: PoolNode,
  ) {
    this.plan = new StartPlan(version.config, this.census, node.starter);
  }

  get waiting(): number {
    return this.waiters.size;
  }

  /** Nothing of it is left on the node. */
  get empty(): boolean {
    return this.instances.size === 0 && this.waiters.size === 0;
  }

  /** A lease on a ready instance, or undefined where none has room. */
  tryLease(requestId: string): Lease | undefined {
    const instance = this.free.at(-1);
    return instance === undefined || this.closed ? undefined : this.grant(instance, requestId, NOT_WAITED);
  }

  /** A place in the queue, and a start where needed. @throws KilnError where it is full or no start is possible; nothing was executed */
  wait(requestId: string): Waiting {
    if (this.closed) throw this.closed;
    const { refusal } = this.plan.backoff;
    if (refusal !== undefined && this.census.serving + this.census.coming === 0) throw refusal;
    if (this.waiters.size >= this.plan.mayWait(this.waiters.size + 1)) throw queueIsFull(this.version);
    const waiting = this.waiters.add(requestId, this.version.config.startTimeout + WAIT_MARGIN_MS, () =>
      leaseTimedOut(this.version, this.census, this.instances, this.plan.backoff.refused),
    );
    this.pump();
    return waiting;
  }

  /** So many instances are kept, whoever asks or not. */
  keep(minimum: number): void {
    this.plan.minimum = minimum;
    this.pump();
  }

  /** Starts instances ahead of their requests: resolves when so many serve, when no more can be had now, and after `limitMs`. */
  startAhead(count: number, limitMs: number): Promise<void> {
    if (this.closed) return Promise.resolve();
    const ended = this.plan.ahead.begin(count, limitMs);
    this.pump();
    return ended;
  }

  /** Traffic went elsewhere, or came back. */
  keepAs(policy: KeepPolicy): void {
    if (this.keepPolicy === policy) return;
    this.keepPolicy = policy;
    for (const instance of this.instances) if (instance.state === 'idle') this.watchIdle(instance);
  }

  /** No more leases; starts are given up, idle instances end, busy ones with their last lease. Who waits gets the error. */
  close(error: KilnError): void {
    this.closed = error;
    this.plan.minimum = 0;
    this.plan.ahead.stop();
    clearTimeout(this.retry);
    this.waiters.trim(0, () => error);
    for (const instance of this.instances) {
      if (instance.state === 'idle') this.stop(instance);
      else if (instance.state === 'starting') instance.abandon();
    }
  }

  /** Ends with its last lease, killed; at once where it has none. After a timeout, a crash, or when it can't be reached. */
  condemn(instance: Instance): void {
    instance.condemned = true;
    this.leaveFree(instance);
    if (instance.state === 'idle') this.stop(instance);
    else if (instance.state === 'busy') instance.transition('draining');
  }

  /** Its process has ended by itself. Requests in it notice by their connections. */
  private ended(instance: Instance): void {
    instance.condemned = true;
    this.leaveFree(instance);
    const { state } = instance;
    if (state !== 'idle' && state !== 'busy' && state !== 'draining') return;
    // Ready and gone without a request: as good as never ready, and to be held back like it.
    if (instance.unused && performance.now() - instance.readyAt < SOON_MS) {
      const detail = withLastLines('it ended by itself right after it was ready', instance.log?.lastLines ?? []);
      this.plan.backoff.failed(new KilnError('start_failed', detail));
    }
    this.stop(instance);
  }

  /** Code in it does harm to the node. */
  private misused(instance: Instance, reason: string): void {
    instance.log?.note('error', `kiln: this instance is replaced: ${reason}`);
    this.plan.backoff.failed(new KilnError('start_failed', reason));
    this.condemn(instance);
  }

  /** Idle instances that may be taken to make room: those beyond the minimum. */
  spareable(): Instance[] {
    const idle = [...this.instances].filter(({ state }) => state === 'idle').sort((a, b) => a.idleSince - b.idleSince);
    return idle.slice(0, Math.max(0, this.census.serving - this.plan.minimum));
  }

  /** Whether another serves on where one goes for a version that has none. */
  get canYield(): boolean {
    return this.census.serving > Math.max(1, this.plan.minimum);
  }

  /** The next instance whose request ends goes, although others wait for it. */
  yieldOne(): void {
    this.yielding = true;
  }

  /** Ends an idle instance. */
  evict(instance: Instance): void {
    if (instance.state === 'idle') this.stop(instance);
  }

  private grant(instance: Instance, requestId: string, waited: Waited): Lease {
    const lease = new Lease(instance, requestId, waited, this.onRelease);
    if (!instance.hasRoom) this.leaveFree(instance);
    this.node.leased(this.version, 1);
    return lease;
  }

  private readonly onRelease = (lease: Lease): void => {
    const { instance } = lease;
    const hadRoom = instance.hasRoom;
    const now = performance.now();
    instance.ended(lease, now);
    if (this.trial !== undefined) {
      this.trial.answered(now);
      if (this.trial.remaining === 0) this.trial = undefined;
    }
    this.node.leased(this.version, -1);
    if (instance.condemned || this.closed) {
      const { state } = instance;
      if (instance.leases.size === 0 && (state === 'draining' || state === 'idle')) this.stop(instance);
      return;
    }
    if (!hadRoom) this.free.push(instance);
    if (this.yielding) this.giveUp(instance);
    if (this.waiters.size > 0) this.pump();
    if (instance.state === 'idle') this.watchIdle(instance);
  };

  private giveUp(instance: Instance): void {
    this.yielding = false;
    if (!this.canYield) return;
    if (instance.state === 'idle') this.stop(instance);
    else this.condemn(instance);
  }

  /** Gives what is free to those who wait, and starts what they still need. */
  private pump(): void {
    if (this.closed) return;
    for (let waiter = this.waiters.first(); waiter !== undefined; waiter = this.waiters.first()) {
      const instance = this.free.at(-1);
      if (instance === undefined) break;
      waiter.resolve(this.grant(instance, waiter.requestId, waitedFor(instance, waiter.since)));
    }
    const pause = this.plan.backoff.remaining;
    const trial = this.trial?.remaining ?? 0;
    if (pause > 0) this.retryIn(pause);
    else {
      for (let missing = this.plan.toStart(this.waiters.size, trial > 0); missing > 0; missing--) void this.start();
      if (trial > 0) this.retryIn(trial);
    }
    // Those that end count towards `maxInstances` until they are gone.
    const isFull = this.census.existing >= this.version.config.maxInstances;
    if (isFull && this.waiters.size > 0 && this.census.now.stopping > 0) for (const each of this.instances) each.hurry();
    this.plan.ahead.endIfReached(this.census);
  }

  private async start(): Promise<void> {
    const instance = this.node.create(this.version, this.census, {
      needed: () => this.closed === undefined && this.plan.needsStarts(this.waiters.size),
      ahead: this.plan.ahead.active && this.waiters.size === 0,
      untried: this.version.state !== 'ready' && this.census.ever.idle === 0,
    });
    this.instances.add(instance);
    try {
      await this.node.starter.start(instance);
    } catch (error) {
      const dropped = error instanceof StartDropped;
      // At once, also where nothing was begun: it must not count as coming to those who wait.
      instance.transition(dropped ? 'stopping' : 'failed');
      this.gone(instance);
      if (!dropped) this.onStartFailed(error as KilnError);
      return;
    }
    this.plan.backoff.succeeded();
    void instance.container?.ended.then(() => this.ended(instance));
    void instance.access?.misused?.then((reason) => this.misused(instance, reason));
    instance.becameReady();
    if (this.closed || instance.condemned) return this.stop(instance);
    if (this.census.serving === 1 && this.version.config.concurrency > 1) {
      this.trial = new Trial(() => performance.now());
      this.trial.begin();
    }
    this.free.push(instance);
    this.pump();
    if (instance.state === 'idle') this.watchIdle(instance);
  }

  private onStartFailed(error: KilnError): void {
    if (error instanceof Refusal) this.plan.backoff.refuse(error);
    else this.plan.backoff.failed(error);
    if (this.closed) return;
    const comes = this.census.serving + this.census.coming > 0 || (error instanceof Refusal && error.passing);
    // What is up, coming, or will be had serves those who wait, as many as may wait.
    if (comes) this.waiters.trim(this.plan.mayWait(this.waiters.size), () => queueIsFull(this.version));
    else this.waiters.trim(0, () => error);
    this.pump();
  }

  private retryIn(ms: number): void {
    if (this.waiters.size === 0 && this.census.serving + this.census.coming >= this.plan.minimum) return;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.pump(), ms + 1);
  }

  private watchIdle(instance: Instance): void {
    const { idleTimeout } = this.version.config;
    const limit = this.keepPolicy === 'retired' ? Math.min(RETIRED_IDLE_MS, idleTimeout) : idleTimeout;
    instance.onIdleFor(limit, () => {
      if (this.census.serving > this.plan.minimum || this.closed) this.evict(instance);
      else this.watchIdle(instance);
    });
  }

  private stop(instance: Instance): void {
    this.leaveFree(instance);
    instance.transition('stopping');
    this.gone(instance);
  }

  /** Takes it down; once nothing is left of it, its place may be another's. */
  private gone(instance: Instance): void {
    void this.node.stop(instance).then(() => {
      this.instances.delete(instance);
      this.pump();
    });
  }

  private leaveFree(instance: Instance): void {
    const at = this.free.lastIndexOf(instance);
    if (at !== -1) this.free.splice(at, 1);
  }
}
