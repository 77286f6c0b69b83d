import { instancesLike } from '@kiln/instances/pool/instances-to-start';
import type { Pools } from '@kiln/instances/pool/pools';
import type { VersionTable } from './version-table.js';

/** A change of traffic waits so long for the instances. */
const LIMIT_MS = 10_000;

export interface Successor {
  name: string;
  version: number;
  /** The versions that have the traffic. */
  serving: readonly number[];
}

/**
 * Starts as many instances of a version as the work of the serving versions on this node needs, before the version gets their traffic.
 * Resolves with the number that is needed and the number that was ready in time. @throws KilnError where the version is unknown
 */
export async function startSuccessor(
  pools: Pools,
  versions: Pick<VersionTable, 'find'>,
  { name, version, serving }: Successor,
): Promise<{ wanted: number; ready: number }> {
  const instances = serving.flatMap((each) => [...(pools.find(name, each)?.instances ?? [])]);
  const taking = instances.filter(({ state }) => state === 'idle' || state === 'busy');
  if (taking.length === 0) return { wanted: 0, ready: 0 };
  const record = await versions.find(name, version);
  const busyness = taking.map(({ leases, version: { config } }) => ({ leases: leases.size, concurrency: config.concurrency }));
  const wanted = Math.min(instancesLike(busyness, record.config.concurrency), record.config.maxInstances);
  const pool = pools.of(record);
  await pool.startAhead(wanted, LIMIT_MS);
  return { wanted, ready: pool.census.serving };
}
