import { randomBytes } from 'node:crypto';
import { KilnError } from '@kiln/contract/errors';
import type { InstanceRecord } from '@kiln/contract/records/records';
import { Census, Instance, type StartReason } from '../instance/instance.js';
import type { FunctionVersion } from '../port/container-driver.js';
import type { Capacity } from '../room/capacity.js';
import { type Elsewhere, type Residents, RoomMaker, type Spareable } from '../room/room-maker.js';
import type { Starter } from '../start/start-instance.js';
import { InstancePool, type PoolNode } from './instance-pool.js';

/** All pools of this node, and what they share. */
export class Pools implements PoolNode, Residents {
  /** Every instance of the node. */
  readonly census = new Census();
  readonly room: RoomMaker;
  private readonly pools = new Map<string, Map<number, InstancePool>>();
  private busy = 0;
  /** Only `leased` writes it. */
  activeLeases = 0;
  readonly starter: Starter;
  private closed: KilnError | undefined;

  constructor(
    readonly nodeId: string,
    readonly capacity: Capacity,
    starterIn: (room: RoomMaker) => Starter,
    elsewhere: Elsewhere = { hasRoom: async () => false },
  ) {
    this.room = new RoomMaker(capacity, this, elsewhere);
    this.starter = starterIn(this.room);
  }

  /** The node's load in busy instances: a lease weighs 1/concurrency. */
  get load(): number {
    return Math.round(this.busy * 100) / 100;
  }

  find(name: string, version: number): InstancePool | undefined {
    return this.pools.get(name)?.get(version);
  }

  /** The pool of a version, made where there is none yet. */
  of(version: FunctionVersion): InstancePool {
    let versions = this.pools.get(version.function);
    if (versions === undefined) {
      versions = new Map();
      this.pools.set(version.function, versions);
    }
    let pool = versions.get(version.version);
    if (pool === undefined) {
      pool = new InstancePool(version, this);
      versions.set(version.version, pool);
      if (this.closed !== undefined) pool.close(this.closed);
    }
    return pool;
  }

  *all(): IterableIterator<InstancePool> {
    for (const versions of this.pools.values()) yield* versions.values();
  }

  /** Takes a version out: its instances end when they are idle, and its pool is found no more. */
  remove(pool: InstancePool, error: KilnError): void {
    pool.close(error);
    const { function: name, version } = pool.version;
    const versions = this.pools.get(name);
    if (versions?.get(version) === pool) versions.delete(version);
    if (versions?.size === 0) this.pools.delete(name);
  }

  /** No pool gives a lease any more: who waits is refused, idle instances end, busy ones with their last lease. */
  close(): void {
    this.closed = new KilnError('unavailable', `node ${this.nodeId} is draining`);
    for (const pool of this.all()) pool.close(this.closed);
  }

  /** Takes `close` back: versions get new pools, and what still runs in the old ones ends there. */
  reopen(): void {
    this.closed = undefined;
    this.pools.clear();
  }

  /** Cuts every connection to an instance: what still runs there ends now. */
  cut(): void {
    for (const instance of this.living) instance.abandon();
  }

  instances(name?: string): InstanceRecord[] {
    const records: InstanceRecord[] = [];
    for (const instance of this.living) {
      if (name === undefined || instance.version.function === name) records.push(instance.record(this.nodeId));
    }
    return records;
  }

  /** Every instance that is not confirmed gone, those of removed pools included. */
  readonly living = new Set<Instance>();

  create(version: FunctionVersion, census: Census, reason: StartReason): Instance {
    const instance = new Instance(randomBytes(6).toString('hex'), version, [census, this.census], reason);
    this.living.add(instance);
    return instance;
  }

  async stop(instance: Instance): Promise<void> {
    await this.starter.stop(instance);
    this.living.delete(instance);
  }

  leased(version: FunctionVersion, change: 1 | -1): void {
    this.activeLeases += change;
    // Sums of fractions drift: nothing running is exactly nothing.
    this.busy = this.activeLeases === 0 ? 0 : this.busy + change / version.config.concurrency;
    if (change < 0 && this.room.waiting > 0) this.room.wake();
  }

  spareable(): Spareable[] {
    return [...this.all()].flatMap((pool) => {
      const { memory } = pool.version.config;
      const wanted = pool.keepPolicy === 'wanted';
      return pool.spareable().map((instance) => ({ instance, id: instance.id, idleSince: instance.idleSince, memory, wanted }));
    });
  }

  evict(instance: Instance): void {
    this.find(instance.version.function, instance.version.version)?.evict(instance);
  }

  yieldTo({ version }: Instance): void {
    let largest: InstancePool | undefined;
    const size = (pool: InstancePool) => pool.census.serving * pool.version.config.memory;
    for (const pool of this.all()) {
      if (pool.version !== version && pool.canYield && (largest === undefined || size(pool) > size(largest))) largest = pool;
    }
    largest?.yieldOne();
  }

  leaving(): number {
    return this.held('memory', isLeaving);
  }

  hurry(memory: number): void {
    let coming = 0;
    for (const instance of this.living) {
      if (coming >= memory) return;
      if (!isLeaving(instance) || !instance.holds('memory')) continue;
      instance.hurry();
      coming += instance.version.config.memory;
    }
  }

  cpuInUse(): number {
    return this.held('cpu', (instance) => instance.state !== 'idle' && !isLeaving(instance));
  }

  /** By those instances that have their memory. */
  private held(what: 'memory' | 'cpu', counts: (instance: Instance) => boolean): number {
    let sum = 0;
    for (const instance of this.living) if (instance.holds('memory') && counts(instance)) sum += instance.version.config[what];
    return sum;
  }

  hasSibling({ version }: Instance): boolean {
    for (const other of this.find(version.function, version.version)?.instances ?? []) if (other.holds('memory')) return true;
    return false;
  }
}

function isLeaving({ state }: Instance): boolean {
  return state === 'stopping' || state === 'failed';
}
