import type { NodeRecord } from '@kiln/contract/records/records';
import { Ring } from '@kiln/ring/ring';
import { type NodeConnections, NodeEntry } from './node.js';
import type { ProbeResult } from './node-health.js';

const CACHED_PREFERENCES = 10_000;
const NONE: readonly NodeEntry[] = [];

/** What is known of a node at the moment of the choice. */
export interface NodeLoad {
  readonly id: string;
  /** Capacity relative to other nodes. */
  readonly weight: number;
  readonly cores: number;
  /** Busy instances: a lease counts 1/concurrency. */
  readonly load: number;
}

/** A node may carry this much more than its share of the load. */
const OVER_MEAN = 1.25;
/** A node with fewer busy instances than this per core is never over its bound. */
const ALWAYS_PER_CORE = 4;

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
  /** Connections of earlier lives or addresses, until nothing is under way there any more. */
  private readonly former = new Set<NodeConnections>();
  private readonly retire = (connections: NodeConnections): void => void this.former.add(connections);

  /** @param clock ms that only grow */
  constructor(private readonly clock: () => number = performance.now.bind(performance)) {}

  /** Takes over what the store holds; `now` by this router's clock. */
  update(records: readonly (NodeRecord & { alive: boolean })[], now: number = this.clock()): void {
    const listed = new Set<string>();
    for (const { alive, ...record } of records) {
      listed.add(record.id);
      const entry = this.entries.get(record.id);
      if (entry === undefined) this.entries.set(record.id, new NodeEntry(this.clock, record, alive, now, this.retire));
      else entry.update(record, alive, now);
    }
    for (const [id, entry] of this.entries) {
      if (listed.has(id)) continue;
      entry.unlist(now);
      if (!entry.usable) this.forget(id, entry);
    }
    this.rebuild();
  }

  /** The nodes in use, draining ones included. */
  live(): NodeEntry[] {
    return [...this.entries.values()].filter(({ usable }) => usable);
  }

  find(id: string): NodeEntry | undefined {
    return this.entries.get(id);
  }

  /** The function's usable nodes in ring order: in use and not draining. */
  preference(name: string): readonly NodeEntry[] {
    return this.someUsable ? this.order(name) : NONE;
  }

  /** The same for a call; where no node is usable, those that are out of use: the call finds out. */
  order(name: string): readonly NodeEntry[] {
    let order = this.preferences.get(name);
    if (order === undefined) {
      order = this.ring.preference(name).map((id) => this.entries.get(id)!);
      if (this.preferences.size >= CACHED_PREFERENCES) this.preferences.clear();
      this.preferences.set(name, order);
    }
    return order;
  }

  /** Nodes whose doors did not answer when they were asked last. */
  lost(): NodeEntry[] {
    return this.candidates().filter(({ usable }) => !usable);
  }

  /** The nodes whose doors it is time to ask although no request met a fault there. */
  due(): NodeEntry[] {
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
    if (!entry.usable && !entry.listed) this.forget(id, entry);
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

  /** All that have something under way or may get something; those that are of no more use are dropped. */
  connections(): NodeConnections[] {
    for (const connections of this.former) if (connections.underWay.size === 0) this.former.delete(connections);
    return [...[...this.entries.values()].flatMap(({ connections }) => connections ?? []), ...this.former];
  }

  /** Ends what is under way everywhere. */
  destroy(): void {
    for (const entry of this.entries.values()) entry.disconnect();
    for (const { upstream } of this.former) upstream.destroy();
    this.former.clear();
  }

  private forget(id: string, entry: NodeEntry): void {
    entry.disconnect();
    this.entries.delete(id);
  }

  private rebuild(): void {
    const candidates = this.candidates();
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

  /** Those that did not say that they leave. */
  private candidates(): NodeEntry[] {
    return [...this.entries.values()].filter(({ record, state }) => !record.draining && state !== 'leaving');
  }
}

/**
 * The order in which nodes are tried for one request: the home and its successors as long as they are under their bound, then the
 * others, least loaded first. Every node given is in it, so the router can walk on when one refuses.
 * @param preference the usable nodes in the function's ring order, home first
 */
export function chooseNodes<T extends NodeLoad>(preference: readonly T[]): readonly T[] {
  const { length } = preference;
  if (length < 2) return preference;
  let load = 0;
  let weight = 0;
  for (const node of preference) {
    load += node.load;
    weight += node.weight;
  }
  const share = (OVER_MEAN * load) / weight;
  let under = 0;
  while (under < length && isUnder(preference[under]!, share)) under++;
  if (under === length) return preference;
  const free: T[] = [];
  const full: T[] = [];
  for (const node of preference) (isUnder(node, share) ? free : full).push(node);
  // The sort is stable: ties go to the earlier one on the ring.
  full.sort((a, b) => a.load / a.weight - b.load / b.weight);
  return free.concat(full);
}

function isUnder(node: NodeLoad, share: number): boolean {
  return node.load < Math.max(share * node.weight, ALWAYS_PER_CORE * node.cores);
}
