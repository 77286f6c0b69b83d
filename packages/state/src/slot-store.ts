import { checkedNode, NODE_ALIVE_PREFIX, SLOTS_PREFIX, slotIndexKey, slotMember, slotsKey } from './store/keys.js';
import { RELEASE_SLOT, RESERVE_SLOT, REWRITE_SLOTS } from './store/scripts.js';
import type { Store } from './store/store.js';

/** Nodes rewrite their counts with each heartbeat; counts of versions that no node runs expire. */
const KEPT_S = 3600;

export interface SlotCount {
  function: string;
  version: number;
  count: number;
}

/** Keeps a version's instances in the whole cluster at or below its `maxInstances`. */
export class SlotStore {
  constructor(private readonly store: Store) {}

  /** True when the node may make one more instance of the version. */
  async reserve(name: string, version: number, node: string, max: number): Promise<boolean> {
    const member = slotMember(name, version);
    const values = [checkedNode(node), max, NODE_ALIVE_PREFIX, member, KEPT_S];
    return (await this.store.run((redis) => redis.eval(RESERVE_SLOT, 2, slotsKey(name, version), slotIndexKey(node), ...values))) === 1;
  }

  async release(name: string, version: number, node: string): Promise<void> {
    const keys = [slotsKey(name, version), slotIndexKey(node)];
    await this.store.run((redis) => redis.eval(RELEASE_SLOT, keys.length, ...keys, checkedNode(node), slotMember(name, version)));
  }

  /** Sets the node's counts, slots requested and not yet answered included: Redis executes the calls in the order of their sending. */
  async rewrite(node: string, counts: readonly SlotCount[]): Promise<void> {
    const held = counts.filter(({ count }) => count > 0);
    const pairs = held.flatMap((slot) => [slotMember(slot.function, slot.version), slot.count]);
    const values = [checkedNode(node), SLOTS_PREFIX, KEPT_S, ...pairs];
    await this.store.run((redis) => redis.eval(REWRITE_SLOTS, 1, slotIndexKey(node), ...values));
  }

  /** The count of each node for these versions, in the same order. Nodes need it to go on while the store is away. */
  async counts(versions: readonly Pick<SlotCount, 'function' | 'version'>[]): Promise<Record<string, number>[]> {
    const hashes = await this.store.pipeline((pipeline) => {
      for (const slot of versions) pipeline.hgetall(slotsKey(slot.function, slot.version));
    });
    return hashes.map((hash) =>
      Object.fromEntries(Object.entries(hash as Record<string, string>).map(([node, count]) => [node, Number(count)])),
    );
  }
}
