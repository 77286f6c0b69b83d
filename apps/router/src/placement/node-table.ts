import type { NodeRecord } from '@kiln/contract/records/records';
import { Ring } from '@kiln/ring/ring';
import { type LiveNode, NodeEntry } from './node-entry.js';
import type { ProbeResult } from './node-health.js';

export type { LiveNode } from './node-entry.js';

const CACHED_PREFERENCES = 10_000;
const NONE: readonly LiveNode[] = [];

/**
 * The nodes in memory. The store says which there are; whether one is in use is decided at its own door, which is asked where its
 * heartbeats are missed, where a request met a fault there, and where it is silent. So a store that is away, empty or takes no writes
 * takes no node out of use. Clocks of other machines are never read: a heartbeat is as old as the time since this router saw it change.
 */
export class NodeTable {
  private readonly entries = new Map<string, NodeEntry>();
  private ring = Ring.of([]);
  private ringKey = '';
  private preferences = new Map<string, readonly NodeEntry[]>();
  private someUsable = false;

  /** @param clock ms that only grow */
  constructor(private readonly clock: () => number = performance.now.bind(performance)) {}

  /** Takes over what the store holds; `now` by this router's clock. */
  update(records: readonly (NodeRecord & { alive: boolean })[], now: number = this.clock()): void {
    const listed = new Set<string>();
    for (const { alive, ...record } of records) {
      listed.add(record.id);
      const entry = this.entries.get(record.id);
      if (entry === undefined) this.entries.set(record.id, new NodeEntry(this.clock, record, alive, now));
      else entry.update(record, alive, now);
    }
    for (const [id, entry] of this.entries) {
      if (listed.has(id)) continue;
      entry.unlist(now);
      if (!entry.usable) this.entries.delete(id);
    }
    this.rebuild();
  }

  /** The nodes in use, draining ones included. */
  live(): LiveNode[] {
    return [...this.entries.values()].filter(({ usable }) => usable);
  }

  /** Whether a node is known at all, in use or not. */
  knows(id: string): boolean {
    return this.entries.has(id);
  }

  find(id: string): LiveNode | undefined {
    return this.entries.get(id);
  }

  /** The function's first node on the ring; undefined where there is no node. */
  home(name: string): string | undefined {
    return this.preference(name)[0]?.id;
  }

  /** The function's usable nodes in ring order: in use and not draining. */
  preference(name: string): readonly LiveNode[] {
    return this.someUsable ? this.order(name) : NONE;
  }

  /** The same for a call; where no node is usable, those that are out of use: the call finds out. */
  order(name: string): readonly LiveNode[] {
    let order = this.preferences.get(name);
    if (order === undefined) {
      order = this.ring.preference(name).map((id) => this.entries.get(id)!);
      if (this.preferences.size >= CACHED_PREFERENCES) this.preferences.clear();
      this.preferences.set(name, order);
    }
    return order;
  }

  /** The nodes whose doors it is time to ask although no request met a fault there. */
  due(): LiveNode[] {
    const now = this.clock();
    return [...this.entries.values()].filter((entry) => entry.isDue(now));
  }

  /** Its door is being asked. */
  ask(id: string): void {
    this.entries.get(id)?.ask(this.clock());
  }

  /** What came of it. @returns whether that took the node out of use or brought it back */
  settle(id: string, verdict: ProbeResult): boolean {
    const entry = this.entries.get(id);
    if (entry === undefined) return false;
    const wasUsable = entry.usable;
    entry.settle(verdict);
    if (!entry.usable && !entry.listed) this.entries.delete(id);
    this.rebuild();
    return wasUsable !== entry.usable;
  }

  /** No node's heartbeat comes through the store, and there are nodes in use: that is the store's fault, not theirs. */
  get unheard(): boolean {
    const now = this.clock();
    let used = false;
    for (const entry of this.entries.values()) {
      if (!entry.usable) continue;
      if (entry.isFresh(now)) return false;
      used = true;
    }
    return used;
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

  private rebuild(): void {
    const candidates = [...this.entries.values()].filter(({ record, state }) => !record.draining && state !== 'leaving');
    const usable = candidates.filter((entry) => entry.usable);
    this.someUsable = usable.length > 0;
    const members = this.someUsable ? usable : candidates;
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

function nothing(): void {}
