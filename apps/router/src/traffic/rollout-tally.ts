import type { RolloutTally } from '@kiln/contract/records/rollout';
import type { InvocationRecord } from '../invoke/invocation.js';

/** Durations are counted in buckets that grow by a tenth, from a tenth of a millisecond to more than the longest timeout. */
const FIRST_MS = 0.1;
const GROWTH = Math.log(1.1);
const BUCKETS = 176;

/** Requests of some versions in one stage: counters only, cheap enough for every request. */
export class Tally {
  private requests = 0;
  private errors = 0;
  private readonly buckets = new Uint32Array(BUCKETS);

  /** A caller that left says nothing of the function. Waiting for an instance is no fault of the code, so only its run is measured. */
  add({ status = 0, end, execMs }: Pick<InvocationRecord, 'status' | 'end' | 'execMs'>): void {
    if (end === 'client_gone') return;
    this.requests += 1;
    if (status >= 500 || end === 'cut') this.errors += 1;
    else this.buckets[bucketOf(execMs)]! += 1;
  }

  toRecord(): RolloutTally {
    const durations: [number, number][] = [];
    for (const [bucket, count] of this.buckets.entries()) if (count > 0) durations.push([bucket, count]);
    return { requests: this.requests, errors: this.errors, durations };
  }
}

/** What all routers saw together. */
export interface TrafficCounts {
  requests: number;
  errors: number;
  /** 95th percentile of the duration of requests that did not fail, in ms; undefined without any. */
  p95: number | undefined;
}

export function together(tallies: readonly RolloutTally[]): TrafficCounts {
  const buckets = new Map<number, number>();
  for (const [bucket, count] of tallies.flatMap(({ durations }) => durations)) buckets.set(bucket, (buckets.get(bucket) ?? 0) + count);
  return {
    requests: tallies.reduce((sum, { requests }) => sum + requests, 0),
    errors: tallies.reduce((sum, { errors }) => sum + errors, 0),
    p95: percentile(buckets, 0.95),
  };
}

function percentile(buckets: ReadonlyMap<number, number>, share: number): number | undefined {
  const inOrder = [...buckets].sort(([a], [b]) => a - b);
  let left = share * inOrder.reduce((sum, [, count]) => sum + count, 0);
  for (const [bucket, count] of inOrder) {
    left -= count;
    if (left <= 0) return FIRST_MS * Math.exp(GROWTH * bucket);
  }
  return undefined;
}

function bucketOf(ms: number): number {
  return ms <= FIRST_MS ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms / FIRST_MS) / GROWTH));
}
