import type { VersionRecord } from '@kiln/contract/records/records';
import type { KeepPolicy } from '@kiln/instances/pool/keep-policy';
import type { Desired } from './version-table.js';

/** A pool that this node has. */
interface Actual {
  function: string;
  version: number;
  keepPolicy: KeepPolicy;
}

export type Action =
  /** Start one instance of a new version and report whether it became ready. */
  | { kind: 'prove'; version: VersionRecord }
  /** A version that is wanted no more, or never will be: its instances end with their last request. */
  | { kind: 'remove'; function: string; version: number }
  /** Instances to keep although nobody asks; and what idle ones are kept for. */
  | { kind: 'keep'; version: VersionRecord; minimum: number; keepPolicy: KeepPolicy };

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
    const entry = byName.get(pool.function);
    const record = entry?.versions.find(({ version }) => version === pool.version);
    // What can't be read was not removed.
    if (entry?.unread?.includes(pool.version)) continue;
    if (record === undefined || record.state === 'failed') actions.push({ kind: 'remove', function: pool.function, version: pool.version });
  }
  for (const entry of desired) {
    for (const version of entry.versions) {
      if (version.state === 'pending' && version.provingNode === node) actions.push({ kind: 'prove', version });
      const has = actual.find((pool) => pool.function === version.function && pool.version === version.version);
      const minimum =
        version.state === 'ready' && hasTraffic(entry, version.version) && isHome(version.function) ? version.config.minInstances : 0;
      if (version.state === 'ready' && (has !== undefined || minimum > 0))
        actions.push({ kind: 'keep', version, minimum, keepPolicy: keepPolicyOf(entry, version.version, has?.keepPolicy) });
    }
  }
  return actions;
}

function hasTraffic({ function: { traffic } }: Desired, version: number): boolean {
  return traffic.some((share) => share.version === version && share.weight > 0);
}

/** Only the one change before is kept warm: of several deployments in a row the earlier versions go. */
function keepPolicyOf(entry: Desired, version: number, before: KeepPolicy | undefined): KeepPolicy {
  if (hasTraffic(entry, version)) return 'wanted';
  const { traffic, previousTraffic, rollout } = entry.function;
  if (rollout?.state === 'aborted' && rollout.version === version) return 'retired';
  if (previousTraffic.some((share) => share.version === version)) return 'previous';
  if (traffic.some((share) => share.version > version && share.weight > 0)) return 'retired';
  // Newer than all that serve: it may be about to get its first traffic, unless it had some before.
  return before === undefined || before === 'wanted' ? 'wanted' : 'retired';
}
