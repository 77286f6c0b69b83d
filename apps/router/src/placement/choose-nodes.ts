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
