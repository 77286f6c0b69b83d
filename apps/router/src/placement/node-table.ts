import type { NodeRecord } from '@kiln/contract/records';
import { Ring } from '@kiln/ring/ring';
import type { NodeLoad } from './choose-nodes.js';

/** A node as requests see it. */
export interface LiveNode extends NodeLoad {
  readonly record: NodeRecord;
}

/** A heartbeat older than this, by the router's own clock, takes its node out of use. */
const HEARTBEAT_LIMIT_MS = 2500;
/** A load that a node reported counts for so long. */
const LOAD_LIMIT_MS = 2000;
/** While the store is away, a suspect node is tried again after this. */
const SUSPECT_MS = 1000;
const CACHED_PREFERENCES = 10_000;

/**
 * The nodes in memory. The store feeds it about once a second; without the store it goes on with what it knew, so requests never
 * wait for it. Clocks of other machines are never read: a heartbeat is as old as the time since this router saw it change.
 */
export class NodeTable {
  private readonly entries = new Map<string, Entry>();
  private ring = Ring.of([]);
  private ringKey = '';
  private preferences = new Map<string, readonly Entry[]>();
  private storeAway = false;
  /** Until then what the store does not (yet) say of a node is not held against it. */
  private graceUntil = 0;

  constructor(private readonly clock: () => number = Date.now) {}

  /** Takes over what the store holds; `now` by this router's clock. */
  update(records: readonly (NodeRecord & { alive: boolean })[], now: number = this.clock()): void {
    if (this.storeAway) this.graceUntil = now + HEARTBEAT_LIMIT_MS;
    this.storeAway = false;
    const listed = new Set<string>();
    for (const { alive, ...record } of records) {
      listed.add(record.id);
      const entry = this.entries.get(record.id);
      if (entry === undefined) this.entries.set(record.id, new Entry(this.clock, record, alive, now));
      else entry.update(record, alive, now);
    }
    const inGrace = now < this.graceUntil;
    for (const [id, entry] of this.entries) {
      if (!listed.has(id) && !inGrace) this.entries.delete(id);
      else entry.inUse = inGrace || (listed.has(id) && entry.isFresh(now));
    }
    this.rebuild();
  }

  /** The store does not answer: what was in use stays in use, whatever the age of its last heartbeat. */
  storeLost(): void {
    this.storeAway = true;
  }

  /** The nodes in use, draining ones included, suspect ones not. */
  live(): LiveNode[] {
    return [...this.entries.values()].filter((entry) => entry.inUse && this.isUsable(entry));
  }

  /** Whether a node is known at all, in use or not. */
  knows(id: string): boolean {
    return this.entries.has(id);
  }

  /** The function's first node on the ring; undefined where there is no node. */
  home(name: string): string | undefined {
    return this.ringOrder(name)[0]?.id;
  }

  /** The function's usable nodes in ring order: in use, not draining, not suspect. */
  preference(name: string): readonly LiveNode[] {
    const order = this.ringOrder(name);
    for (const entry of order) {
      if (entry.suspectAt !== undefined) return order.filter((each) => this.isUsable(each));
    }
    return order;
  }

  /** A connection to the node was refused or broke: it is left out until its next heartbeat. */
  suspect(id: string): void {
    const entry = this.entries.get(id);
    if (entry !== undefined) entry.suspectAt = this.clock();
  }

  /** Counts a request that is about to be sent. The release may be called twice. */
  begin(id: string, weight: number): () => void {
    const entry = this.entries.get(id);
    if (entry === undefined) return nothing;
    entry.inFlight += weight;
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      entry.inFlight -= weight;
    };
  }

  /** What the node said of its load with an answer. */
  reportLoad(id: string, load: number): void {
    this.entries.get(id)?.report(load, this.clock());
  }

  private isUsable(entry: Entry): boolean {
    if (entry.suspectAt === undefined) return true;
    if (!this.storeAway || this.clock() - entry.suspectAt < SUSPECT_MS) return false;
    entry.suspectAt = undefined;
    return true;
  }

  private ringOrder(name: string): readonly Entry[] {
    let order = this.preferences.get(name);
    if (order === undefined) {
      order = this.ring.preference(name).map((id) => this.entries.get(id)!);
      if (this.preferences.size >= CACHED_PREFERENCES) this.preferences.clear();
      this.preferences.set(name, order);
    }
    return order;
  }

  private rebuild(): void {
    const members = [...this.entries.values()].filter(({ inUse, record }) => inUse && !record.draining);
    const key = members
      .map(({ id, weight, serial }) => `${id} ${weight} ${serial}`)
      .sort()
      .join();
    if (key === this.ringKey) return;
    this.ring = Ring.of(members.map(({ id, weight }) => ({ id, weight })));
    this.ringKey = key;
    this.preferences = new Map();
  }
}

let serials = 0;

class Entry implements LiveNode {
  /** Tells an entry from a later one of the same id. */
  readonly serial = serials++;
  inUse = false;
  suspectAt: number | undefined;
  /** Weight of this router's own requests there. */
  inFlight = 0;
  private reported: number;
  private reportedAt: number;
  private beatAt: number;

  constructor(
    private readonly clock: () => number,
    public record: NodeRecord,
    private alive: boolean,
    now: number,
  ) {
    this.reported = record.load;
    this.reportedAt = now;
    this.beatAt = now;
  }

  get id(): string {
    return this.record.id;
  }

  get weight(): number {
    return this.record.weight;
  }

  get cores(): number {
    return this.record.cores;
  }

  get load(): number {
    return this.reported > this.inFlight && this.clock() - this.reportedAt < LOAD_LIMIT_MS ? this.reported : this.inFlight;
  }

  update(record: NodeRecord, alive: boolean, now: number): void {
    this.alive = alive;
    if (record.epoch !== this.record.epoch || record.beat !== this.record.beat) {
      this.beatAt = now;
      this.suspectAt = undefined;
      this.report(record.load, now);
    }
    this.record = record;
  }

  report(load: number, now: number): void {
    this.reported = load;
    this.reportedAt = now;
  }

  isFresh(now: number): boolean {
    return this.alive && now - this.beatAt < HEARTBEAT_LIMIT_MS;
  }
}

function nothing(): void {}
