/** What the decision looks at. */
export interface Demand {
  /** Requests that wait for a lease. */
  waiting: number;
  /** Instances that are being started already. */
  coming: number;
  /** All instances that exist, the leaving ones included. */
  existing: number;
  /** Ready ones that take leases. */
  serving: number;
  concurrency: number;
  maxInstances: number;
  /** Kept even when nobody asks. */
  minInstances: number;
  /** The last start failed: one at a time until one succeeds. */
  failing: boolean;
}

/**
 * How many instances to start now. Never more than those who wait can use, counting what is on its way; never more than
 * `maxInstances` may exist, the leaving ones included.
 */
export function instancesToStart(demand: Demand): number {
  const { waiting, coming, existing, serving, concurrency, maxInstances, minInstances, failing } = demand;
  const forWaiting = Math.ceil(waiting / concurrency) - coming;
  const forMinimum = minInstances - serving - coming;
  const wanted = Math.min(Math.max(forWaiting, forMinimum), maxInstances - existing);
  return Math.max(0, failing ? Math.min(wanted, 1 - coming) : wanted);
}
