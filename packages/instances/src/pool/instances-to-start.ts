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
  /** So many requests may have starts at once while no instance has become ready. */
  startsAtOnce: number;
  /** The first instance has just become ready: those who wait may need no other. */
  trial: boolean;
  /** The last start failed: one at a time until one succeeds. */
  failing: boolean;
}

/** How many more could be used: never more than those who wait can use, nor than `maxInstances`, the leaving ones included. */
export function instancesMissing(demand: Demand): number {
  return Math.max(0, Math.min(useful(demand) - demand.coming, demand.maxInstances - demand.existing));
}

/**
 * How many of them to start now: one more at a time for each that serves. So a version that never becomes ready holds few places, and short
 * calls are served before starts have begun. The more requests one takes, the fewer start before the first has shown what it does.
 */
export function instancesToStart(demand: Demand): number {
  const { failing, startsAtOnce, concurrency, serving, coming, trial } = demand;
  const atOnce = failing ? 1 : Math.ceil(startsAtOnce / concurrency) + serving;
  const missing = instancesMissing(trial ? { ...demand, waiting: 0 } : demand);
  return Math.max(0, Math.min(missing, atOnce - coming));
}

/** How many of those on their way nobody would use. */
export function startsToDrop(demand: Demand): number {
  return Math.max(0, demand.coming - useful(demand));
}

/** Of those that do not serve yet. */
function useful({ waiting, concurrency, minInstances, serving }: Demand): number {
  return Math.max(Math.ceil(waiting / concurrency), minInstances - serving);
}

/** How many instances of another version could take over what these do. An idle one stands for the requests of before. */
export function instancesLike(serving: readonly { leases: number; concurrency: number }[], concurrency: number): number {
  const places = serving.reduce((sum, each) => sum + Math.max(each.leases, Math.min(each.concurrency, concurrency)), 0);
  return Math.ceil(places / concurrency);
}
