import { KilnError } from '@kiln/contract/errors';
import type { Instance } from '../instance/instance.js';
import { Census } from '../instance/instance-state.js';
import { Lease, NOT_WAITED, type Waited, waitedFor } from '../instance/lease.js';
import type { FunctionVersion } from '../port/container-driver.js';
import { withLastLines } from '../port/exit.js';
import { Refusal } from '../port/refusal.js';
import { StartDropped } from '../port/start-dropped.js';
import { leaseTimedOut, queueIsFull } from '../queue/queue-errors.js';
import { WAIT_MARGIN_MS, type Waiting, WaitQueue } from '../queue/wait-queue.js';
import { StartBackoff } from '../start/start-backoff.js';
import { FreeInstances } from './free-instances.js';
import type { KeepPolicy } from './keep-policy.js';
import { type Demand, instancesMissing, instancesToStart, startsToDrop } from './need-instance.js';
import type { PoolNode } from './pool-node.js';
import { Trial } from './trial.js';
import { WarmUp } from './warm-up.js';

/** Idle instances of a version that is retired. */
const RETIRED_IDLE_MS = 500;
/** An instance that ends by itself this soon, unused, counts as one that failed to start. */
const SOON_MS = 1000;

/**
 * The instances of one function version on this node, and who waits for them. All bookkeeping is synchronous: a lease is claimed
 * and booked in one step, whatever takes time happens outside.
 */
export class InstancePool {
  readonly census = new Census();
  readonly instances = new Set<Instance>();
  private readonly waiters = new WaitQueue();
  private readonly backoff = new StartBackoff(() => performance.now());
  private readonly trial = new Trial(() => performance.now());
  private readonly warmUp = new WarmUp();
  private readonly free = new FreeInstances();
  private minimum = 0;
  private yielding = false;
  private policy: KeepPolicy = 'wanted';
  private closed: KilnError | undefined;
  private retry: NodeJS.Timeout | undefined;

  constructor(
    readonly version: FunctionVersion,
    private readonly node: PoolNode,
  ) {}

  get waiting(): number {
    return this.waiters.size;
  }

  /** Nothing of it is left on the node. */
  get empty(): boolean {
    return this.instances.size === 0 && this.waiters.size === 0;
  }

  /** A lease on a ready instance, or undefined where none has room. */
  tryLease(requestId: string): Lease | undefined {
    const instance = this.free.next;
    return instance === undefined || this.closed ? undefined : this.grant(instance, requestId, NOT_WAITED);
  }

  /**
   * A place in the queue, and an instance on its way where one is needed.
   * @throws KilnError where the queue is full or the version can't start at the moment; nothing was executed
   */
  wait(requestId: string): Waiting {
    if (this.closed) throw this.closed;
    const { refusal } = this.backoff;
    if (refusal !== undefined && this.census.serving + this.census.coming === 0) throw refusal;
    if (this.waiters.size >= this.mayWait(1)) throw queueIsFull(this.version);
    const waiting = this.waiters.add(requestId, this.version.config.startTimeout + WAIT_MARGIN_MS, () =>
      leaseTimedOut(this.version, this.census, this.instances, this.backoff.refused),
    );
    this.pump();
    return waiting;
  }

  /** So many instances are kept, whoever asks or not. */
  keep(minimum: number): void {
    this.minimum = minimum;
    this.pump();
  }

  /** Starts instances ahead of their requests: resolves when so many serve, when no more can be had now, and after `limitMs`. */
  warm(count: number, limitMs: number): Promise<void> {
    if (this.closed) return Promise.resolve();
    const ended = this.warmUp.begin(count, limitMs);
    this.pump();
    return ended;
  }

  get keepPolicy(): KeepPolicy {
    return this.policy;
  }

  /** Traffic went elsewhere, or came back. */
  keepAs(policy: KeepPolicy): void {
    if (this.policy === policy) return;
    this.policy = policy;
    for (const instance of this.instances) if (instance.state === 'idle') this.watchIdle(instance);
  }

  /** No more leases; starts are given up, idle instances end, busy ones with their last lease. Who waits gets the error. */
  close(error: KilnError): void {
    this.closed = error;
    this.minimum = 0;
    this.warmUp.stop();
    clearTimeout(this.retry);
    this.waiters.trim(0, () => error);
    for (const instance of this.instances) {
      if (instance.state === 'idle') this.stop(instance);
      else if (instance.state === 'starting') instance.abandon();
    }
  }

  /**
   * Takes no new lease and ends with its last one, killed: after a timeout, a crash, or when it can't be reached.
   * An instance with nothing in it ends now.
   */
  condemn(instance: Instance): void {
    instance.condemned = true;
    this.free.remove(instance);
    if (instance.state === 'idle') this.stop(instance);
    else if (instance.state === 'busy') instance.life.transition('draining');
  }

  /** Its process has ended by itself. Requests in it notice by their connections. */
  private ended(instance: Instance): void {
    instance.condemned = true;
    this.free.remove(instance);
    const { state } = instance;
    if (state !== 'idle' && state !== 'busy' && state !== 'draining') return;
    // Ready and gone without a request: as good as never ready, and to be held back like it.
    if (instance.served === 0 && performance.now() - instance.readyAt < SOON_MS) {
      const detail = withLastLines('it ended by itself right after it was ready', instance.log?.lastLines ?? []);
      this.backoff.failed(new KilnError('start_failed', detail));
    }
    this.stop(instance);
  }

  /** Code in it does harm to the node. */
  private misused(instance: Instance, reason: string): void {
    instance.log?.note('error', `kiln: this instance is replaced: ${reason}`);
    this.backoff.failed(new KilnError('start_failed', reason));
    this.condemn(instance);
  }

  /** Idle instances that may be taken to make room: those beyond the minimum. */
  spareable(): Instance[] {
    const idle = [...this.instances].filter(({ state }) => state === 'idle').sort((a, b) => a.idleSince - b.idleSince);
    return idle.slice(0, Math.max(0, this.census.serving - this.minimum));
  }

  /** Whether another serves on where one goes for a version that has none. */
  get canYield(): boolean {
    return this.census.serving > Math.max(1, this.minimum);
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
    if (!instance.hasRoom) this.free.remove(instance);
    this.node.leased(this.version, 1);
    return lease;
  }

  private readonly onRelease = (lease: Lease): void => {
    const { instance } = lease;
    const hadRoom = instance.hasRoom;
    const now = performance.now();
    instance.ended(lease, now);
    this.trial.answered(now);
    this.node.leased(this.version, -1);
    if (instance.condemned || this.closed) {
      const { state } = instance;
      if (instance.leases.size === 0 && (state === 'draining' || state === 'idle')) this.stop(instance);
      return;
    }
    if (!hadRoom) this.free.add(instance);
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
      const instance = this.free.next;
      if (instance === undefined) break;
      waiter.resolve(this.grant(instance, waiter.requestId, waitedFor(instance, waiter.since)));
    }
    const pause = this.backoff.remaining;
    if (pause > 0) this.retryIn(pause);
    else {
      for (let missing = instancesToStart(this.demand()); missing > 0; missing--) void this.start();
      if (this.trial.remaining > 0) this.retryIn(this.trial.remaining);
    }
    this.warmUp.look(this.census);
  }

  private demand(more = 0): Demand {
    const { concurrency, maxInstances } = this.version.config;
    const { coming, existing, serving } = this.census;
    return {
      waiting: this.waiters.size + more,
      coming,
      existing,
      serving,
      concurrency,
      maxInstances,
      minInstances: Math.max(this.minimum, this.warmUp.minimum(serving)),
      startsAtOnce: this.node.startsAtOnce,
      failing: this.backoff.failing,
      trial: this.trial.remaining > 0,
    };
  }

  /** Beyond its queue as many may wait as instances can still be made for. */
  private mayWait(more = 0): number {
    const { queue, concurrency } = this.version.config;
    return queue + (this.census.coming + instancesMissing(this.demand(more))) * concurrency;
  }

  private async start(): Promise<void> {
    const instance = this.node.create(this.version, this.census);
    instance.needed = () => this.closed === undefined && startsToDrop(this.demand()) === 0;
    instance.ahead = this.warmUp.active && this.waiters.size === 0;
    this.instances.add(instance);
    try {
      await this.node.start(instance);
    } catch (error) {
      const dropped = error instanceof StartDropped;
      // At once, also where nothing was begun: it must not count as coming to those who wait.
      instance.life.transition(dropped ? 'stopping' : 'failed');
      this.gone(instance);
      if (!dropped) this.onStartFailed(error as KilnError);
      return;
    }
    this.backoff.succeeded();
    void instance.container?.ended.then(() => this.ended(instance));
    void instance.access?.misused?.then((reason) => this.misused(instance, reason));
    instance.readyAt = instance.idleSince = performance.now();
    instance.life.transition('idle');
    if (this.closed || instance.condemned) return this.stop(instance);
    if (this.census.serving === 1 && this.version.config.concurrency > 1) this.trial.begin();
    this.free.add(instance);
    this.pump();
    if (instance.state === 'idle') this.watchIdle(instance);
  }

  private onStartFailed(error: KilnError): void {
    if (error instanceof Refusal) this.backoff.refuse(error);
    else this.backoff.failed(error);
    if (this.closed) return;
    const comes = this.census.serving + this.census.coming > 0 || (error instanceof Refusal && error.passing);
    // What is up, coming, or will be had serves those who wait, as many as may wait.
    if (comes) this.waiters.trim(this.mayWait(), () => queueIsFull(this.version));
    else this.waiters.trim(0, () => error);
    this.pump();
  }

  private retryIn(ms: number): void {
    if (this.waiters.size === 0 && this.census.serving + this.census.coming >= this.minimum) return;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.pump(), ms + 1);
  }

  private watchIdle(instance: Instance): void {
    const { idleTimeout } = this.version.config;
    const limit = this.policy === 'retired' ? Math.min(RETIRED_IDLE_MS, idleTimeout) : idleTimeout;
    instance.onIdleFor(limit, () => {
      if (this.census.serving > this.minimum || this.closed) this.evict(instance);
      else this.watchIdle(instance);
    });
  }

  private stop(instance: Instance): void {
    this.free.remove(instance);
    instance.life.transition('stopping');
    this.gone(instance);
  }

  /** Takes it down; once nothing is left of it, its place may be another's. */
  private gone(instance: Instance): void {
    void this.node.stop(instance).then(() => {
      this.instances.delete(instance);
      this.pump();
    });
  }
}
