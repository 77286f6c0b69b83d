import type { VersionRecord } from '@kiln/contract/records';
import type { Desired } from './version-table.js';

/** A pool that this node has. */
interface Actual {
  function: string;
  version: number;
}

export type Action =
  /** Start one instance of a new version and report whether it became ready. */
  | { kind: 'prove'; version: VersionRecord }
  /** A version that is wanted no more, or never will be: its instances end with their last request. */
  | { kind: 'remove'; function: string; version: number }
  /** Instances to keep although nobody asks; and whether idle ones end at once because traffic went elsewhere. */
  | { kind: 'keep'; version: VersionRecord; minimum: number; retired: boolean };

export interface PlanInput {
  node: string;
  desired: readonly Desired[];
  actual: readonly Actual[];
  /** True for functions whose home this node is. */
  isHome(name: string): boolean;
}

/** What this node has to do so that it is as the store says. Asks nothing and changes nothing. */
export function plan({ node, desired, actual, isHome }: PlanInput): Action[] {
  const actions: Action[] = [];
  const byName = new Map(desired.map((entry) => [entry.function.name, entry]));
  for (const pool of actual) {
    const record = byName.get(pool.function)?.versions.find(({ version }) => version === pool.version);
    if (record === undefined || record.state === 'failed') actions.push({ kind: 'remove', ...pool });
  }
  for (const entry of desired) {
    for (const version of entry.versions) {
      if (version.state === 'pending' && version.provingNode === node) actions.push({ kind: 'prove', version });
      const has = actual.some((pool) => pool.function === version.function && pool.version === version.version);
      const minimum =
        version.state === 'ready' && hasTraffic(entry, version.version) && isHome(version.function) ? version.config.minInstances : 0;
      if (version.state === 'ready' && (has || minimum > 0))
        actions.push({ kind: 'keep', version, minimum, retired: isRetired(entry, version.version) });
    }
  }
  return actions;
}

function hasTraffic({ function: { traffic } }: Desired, version: number): boolean {
  return traffic.some((share) => share.version === version && share.weight > 0);
}

/** Had traffic and lost it. One that is newer than all that serve may be about to get its first. */
function isRetired(entry: Desired, version: number): boolean {
  if (hasTraffic(entry, version)) return false;
  const { traffic, previousTraffic } = entry.function;
  if (previousTraffic.some((share) => share.version === version)) return true;
  return traffic.some((share) => share.version > version && share.weight > 0);
}
