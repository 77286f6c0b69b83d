import { type RolloutCounts, rolloutCounts } from '@kiln/contract/records/rollout';
import { rolloutCountsKey, rolloutLeaseKey } from '../store/keys.js';
import { readRecords } from '../store/read-record.js';
import { KEEP_LEASE } from '../store/scripts.js';
import type { Store } from '../store/store.js';

/** Counts of rollouts that ended, or whose routers are gone, go by themselves. */
const COUNTS_KEPT_MS = 3_600_000;

/** What routers tell each other of a rollout under way. Where it stands is in the function's record. */
export class RolloutStore {
  constructor(private readonly store: Store) {}

  /** Takes or keeps the right to move a function's rollout on; false while another router has it. */
  async lease(name: string, router: string, forMs: number): Promise<boolean> {
    return (await this.store.run((redis) => redis.eval(KEEP_LEASE, 1, rolloutLeaseKey(name), router, forMs))) === 1;
  }

  /** What this router has counted since the stage began; it takes the place of what it said before. */
  async report(name: string, router: string, counts: RolloutCounts): Promise<void> {
    const key = rolloutCountsKey(name);
    await this.store.pipeline((pipeline) => pipeline.hset(key, router, JSON.stringify(counts)).pexpire(key, COUNTS_KEPT_MS));
  }

  /** Of all routers, those that are gone included. */
  async counts(name: string): Promise<RolloutCounts[]> {
    const key = rolloutCountsKey(name);
    return readRecords(this.store, rolloutCounts, await this.store.run((redis) => redis.hgetall(key)), key);
  }
}
