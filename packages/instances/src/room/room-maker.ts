import type { Instance } from '../instance/instance.js';
import { Refusal, StartDropped } from '../port/refusal.js';
import type { Capacity } from './capacity.js';
import { type Candidate, chooseVictims } from './choose-victims.js';

const LOOK_MS = 250;
/** Requests end all the time: one look for all that end meanwhile. */
const PAUSE_MS = 10;
/** Other nodes are asked whether they have room this often. */
const ASK_MS = 1000;
/** More than a node has instances. */
const MAX_WAITING = 1000;

export interface Spareable extends Candidate {
  instance: Instance;
}

/** What making room needs of the node. */
export interface Residents {
  /** Idle instances that nobody would miss. */
  spareable(): Spareable[];
  evict(instance: Instance): void;
  /** A version that has several instances gives one up as soon as a request in it ends, although more of its calls wait. */
  yieldTo(instance: Instance): void;
  /** MB of instances on their way out, free soon. */
  leaving(): number;
  /** Cuts the grace of those on their way out short, until they make up so many MB. */
  hurry(memory: number): void;
  /** Cores of instances that start or work. Idle ones use none. */
  cpuInUse(): number;
  /** Another instance of the same version has its memory already. */
  hasSibling(instance: Instance): boolean;
}

/** What is known of the other nodes. */
export interface Elsewhere {
  /** Whether one of them would take an instance of so many MB now. */
  hasRoom(memory: number): Promise<boolean>;
}

interface Waiting {
  instance: Instance;
  deadline: number;
  askedAt: number;
  resolve(): void;
  reject(error: Error): void;
}

/**
 * Finds room for a new instance. Memory is a hard limit: where it is missing, idle instances go, those unused longest first, and a
 * start waits for what becomes free; a version that has no instance gets the next one of a version that has several. Cores are a soft one: a version's first instance is started however many are in use, further
 * ones wait, for their calls have another instance to wait for. First come, first served, but who waits holds back nobody that fits.
 */
export class RoomMaker {
  /** How many starts wait for room. A field, since every call that ends looks at it; only `reserve` and `settle` write it. */
  waiting = 0;
  private readonly queue = new Set<Waiting>();
  private timer: NodeJS.Timeout | undefined;
  private soon: NodeJS.Timeout | undefined;

  constructor(
    private readonly capacity: Capacity,
    private readonly residents: Residents,
    private readonly elsewhere: Elsewhere,
  ) {}

  /**
   * Resolves when the instance has its memory. One that is started ahead of any request gets room at the cost of versions
   * without traffic only, and does not wait for more.
   * @throws Refusal `no_capacity` where it can't be had here, where another node has room, and after `limitMs`; StartDropped
   */
  reserve(instance: Instance, limitMs: number): Promise<void> {
    const { memory, cpu } = instance.version.config;
    const { total } = this.capacity;
    if (memory > total.memory || cpu > total.cpu) return Promise.reject(this.tooBig(instance));
    if (this.queue.size >= MAX_WAITING) return Promise.reject(this.full(instance, false));
    return new Promise((resolve, reject) => {
      this.queue.add({ instance, deadline: performance.now() + limitMs, askedAt: Number.NEGATIVE_INFINITY, resolve, reject });
      this.waiting = this.queue.size;
      instance.obstacle = () => this.full(instance, true);
      if (this.queue.size === 1) this.look();
      else this.wake();
    });
  }

  /** Something became free. Those who wait in the pool it belongs to come first. */
  wake(): void {
    if (this.queue.size > 0) this.soon ??= setTimeout(() => this.look(), PAUSE_MS);
  }

  private look(): void {
    clearTimeout(this.soon);
    this.soon = undefined;
    const now = performance.now();
    let cpu = this.residents.cpuInUse();
    let leaving = this.residents.leaving();
    const idle = new Set(this.residents.spareable());
    let needed = 0;
    for (const waiting of this.queue) {
      const { instance } = waiting;
      if (!instance.reason.needed()) this.settle(waiting, new StartDropped());
      else if (now >= waiting.deadline) this.settle(waiting, this.full(instance, true));
      else if (!this.fitsCpu(instance, cpu)) this.onFull(waiting, now);
      else if (this.grant(waiting)) cpu += instance.version.config.cpu;
      else {
        const gained = this.clear(instance, leaving, idle);
        if (gained === undefined) {
          this.onFull(waiting, now);
          if (!instance.reason.ahead && !this.residents.hasSibling(instance)) this.residents.yieldTo(instance);
        } else {
          leaving += gained;
          needed += instance.version.config.memory;
        }
      }
    }
    if (needed > 0) this.residents.hurry(this.capacity.missing(needed));
    this.keepLooking();
  }

  private fitsCpu(instance: Instance, inUse: number): boolean {
    // Cores are fractions, and sums of them drift.
    return (
      inUse + instance.version.config.cpu <= this.capacity.total.cpu + 1e-6 ||
      !(instance.reason.ahead || this.residents.hasSibling(instance))
    );
  }

  private grant(waiting: Waiting): boolean {
    const { instance } = waiting;
    const release = this.capacity.reserve(instance.version.config.memory);
    if (release === undefined) return false;
    instance.hold('memory', () => {
      release();
      this.wake();
    });
    this.settle(waiting);
    return true;
  }

  /** What is on its way out after this beyond what the instance needs of it; undefined where not enough would come. */
  private clear(instance: Instance, leaving: number, idle: Set<Spareable>): number | undefined {
    const missing = this.capacity.missing(instance.version.config.memory);
    if (missing <= leaving) return -missing;
    const victims = chooseVictims(
      missing - leaving,
      [...idle].filter(({ wanted }) => !(instance.reason.ahead && wanted)),
    );
    if (victims.length === 0) return undefined;
    let gained = 0;
    for (const victim of victims) {
      idle.delete(victim);
      this.residents.evict(victim.instance);
      gained += victim.memory;
    }
    return gained - missing;
  }

  private onFull(waiting: Waiting, now: number): void {
    if (waiting.instance.reason.ahead) this.settle(waiting, this.full(waiting.instance, false));
    else if (now - waiting.askedAt >= ASK_MS) {
      waiting.askedAt = now;
      void this.askElsewhere(waiting);
    }
  }

  private async askElsewhere(waiting: Waiting): Promise<void> {
    const { instance } = waiting;
    // Its calls have an instance here that they can wait for.
    if (this.residents.hasSibling(instance)) return;
    // Where nobody can say, it waits on here, and asks again.
    const found = await this.elsewhere.hasRoom(instance.version.config.memory).catch(() => false);
    if (found && this.queue.has(waiting)) this.settle(waiting, this.full(instance, false));
  }

  private settle(waiting: Waiting, error?: Error): void {
    this.queue.delete(waiting);
    this.waiting = this.queue.size;
    waiting.instance.obstacle = undefined;
    if (error === undefined) waiting.resolve();
    else waiting.reject(error);
  }

  // What nobody says shows here: that a start is not needed any more, that another version's minimum changed.
  private keepLooking(): void {
    if (this.queue.size === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
    } else this.timer ??= setInterval(() => this.look(), LOOK_MS);
  }

  private tooBig({ version: { function: name, config } }: Instance): Refusal {
    const { memory, cpu } = this.capacity.total;
    return new Refusal(
      'no_capacity',
      `an instance of "${name}" takes ${config.memory} MB and ${config.cpu} cores; this node has ${memory} MB and ${cpu} cores for instances`,
    );
  }

  private full({ version: { config } }: Instance, passing: boolean): Refusal {
    const { total, memoryPromised } = this.capacity;
    const cpu = Math.round(this.residents.cpuInUse() * 100) / 100;
    return new Refusal(
      'no_capacity',
      `no room for ${config.memory} MB and ${config.cpu} cores: ${memoryPromised} of ${total.memory} MB are promised, ${cpu} of ${total.cpu} cores are in use`,
      { passing },
    );
  }
}
