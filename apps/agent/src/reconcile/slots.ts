import type { FunctionVersion } from '@kiln/instances/port/container-driver';
import type { ClusterSlots, SlotAnswer } from '@kiln/instances/start/start-instance';
import type { SlotCount, SlotStore } from '@kiln/state/slot-store';

interface Held extends SlotCount {
  /** Instances on other nodes, at the last read of the store. */
  others: number;
}

/** Keeps `maxInstances` in the whole cluster. The store decides; while it is away, the other nodes count as at the last read. */
export class StoredSlots implements ClusterSlots {
  private readonly held = new Map<string, Held>();

  constructor(
    private readonly store: Pick<SlotStore, 'reserve' | 'release' | 'rewrite' | 'counts'>,
    private readonly node: string,
    /** Whether one of these nodes takes calls now. */
    private readonly anyTakes: (nodes: readonly string[]) => Promise<boolean>,
  ) {}

  async reserve(version: FunctionVersion): Promise<SlotAnswer> {
    const { maxInstances } = version.config;
    const held = this.entry(version);
    // Counted before the store answers: a rewrite in the meantime must include it.
    held.count++;
    let granted: boolean;
    try {
      granted = await this.store.reserve(version.function, version.version, this.node, maxInstances);
    } catch {
      granted = held.count + held.others <= maxInstances;
    }
    if (granted) return 'granted';
    held.count--;
    return this.where(version, held);
  }

  /** Where a call can go that gets no slot here. */
  private async where(version: FunctionVersion, { others }: Held): Promise<SlotAnswer> {
    try {
      const [counts = {}] = await this.store.counts([version]);
      const holders = Object.keys(counts).filter((node) => node !== this.node && counts[node]! > 0);
      return (await this.anyTakes(holders)) ? 'elsewhere' : 'passing';
    } catch {
      // The store is away: nothing tells when a slot becomes free.
      return others > 0 ? 'elsewhere' : 'passing';
    }
  }

  release(version: FunctionVersion): void {
    const held = this.entry(version);
    held.count = Math.max(0, held.count - 1);
    // The next rewrite corrects a release that is lost.
    this.store.release(version.function, version.version, this.node).catch(() => undefined);
  }

  /** Writes the exact counts of this node, and reads those of the others. @throws KilnError `unavailable` */
  async sync(alive: ReadonlySet<string>): Promise<void> {
    for (const [key, { count }] of this.held) if (count === 0) this.held.delete(key);
    const held = [...this.held.values()];
    await this.store.rewrite(this.node, held);
    if (held.length === 0) return;
    const counts = await this.store.counts(held);
    for (const [i, entry] of held.entries()) {
      const others = Object.entries(counts[i] ?? {}).filter(([node]) => node !== this.node && alive.has(node));
      entry.others = others.reduce((sum, [, count]) => sum + count, 0);
    }
  }

  private entry({ function: name, version }: FunctionVersion): Held {
    const key = `${name}@${version}`;
    let held = this.held.get(key);
    if (held === undefined) {
      held = { function: name, version, count: 0, others: 0 };
      this.held.set(key, held);
    }
    return held;
  }
}
