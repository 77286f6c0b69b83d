import { type NodeRecord, nodeRecord } from '@kiln/contract/records/records';
import { checkedNode, NODES, NODES_SEEN, nodeAliveKey } from './store/keys.js';
import { readRecords } from './store/read-record.js';
import { HEARTBEAT } from './store/scripts.js';
import type { Store } from './store/store.js';

/** A node counts as dead after three missed heartbeats. */
const ALIVE_MS = 3000;
/** A silent node leaves the list of members after a day. */
const FORGET_S = 24 * 3600;

export type StoredNode = NodeRecord & { alive: boolean };

/** The nodes of the cluster, and when each sent its last heartbeat. */
export class NodeStore {
  constructor(private readonly store: Store) {}

  async heartbeat(record: NodeRecord): Promise<void> {
    const keys = [NODES, NODES_SEEN, nodeAliveKey(record.id)];
    const values = [record.id, JSON.stringify(record), ALIVE_MS, FORGET_S];
    await this.store.run((redis) => redis.eval(HEARTBEAT, keys.length, ...keys, ...values));
  }

  async list(): Promise<StoredNode[]> {
    const hash = await this.store.run((redis) => redis.hgetall(NODES));
    const records = readRecords(this.store, nodeRecord, hash, NODES);
    const alive = await this.store.pipeline((pipeline) => {
      for (const { id } of records) pipeline.exists(nodeAliveKey(id));
    });
    return records.map((record, i) => ({ ...record, alive: alive[i] === 1 })).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Removes the node at once. Otherwise the list would show it as away for a day. */
  async leave(id: string): Promise<void> {
    await this.store.pipeline((pipeline) => {
      pipeline.hdel(NODES, checkedNode(id)).zrem(NODES_SEEN, id).del(nodeAliveKey(id));
    });
  }
}
