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
  /** Start one instance of a new version, and store whether it became ready. */
  | { kind: 'prove'; version: VersionRecord }
  /** A removed or failed version: its instances end after their last request. */
  | { kind: 'remove'; function: string; version: number }
  /** The least number of instances, and why idle ones are kept. */
  | { kind: 'keep'; version: VersionRecord; minimum: number; keepPolicy: KeepPolicy };

export interface PlanInput {
  node: string;
  desired: readonly Desired[];
  actual: readonly Actual[];
  /** True for functions whose home this node is. */
  isHome(name: string): boolean;
}

/** The actions that make this node equal to the desired state. Pure. */
export function plan({ node, desired, actual, isHome }: PlanInput): Action[] {
  const actions: Action[] = [];
  const byName = new Map(desired.map((entry) => [entry.function.name, entry]));
  for (const pool of actual) {
    const entry = byName.get(pool.function);
    const record = entry?.versions.find(({ version }) => version === pool.version);
    // A version that this agent can't read is not removed.
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

/** Only the version that served just before is kept warm; after several deployments in a row the earlier ones go. */
function keepPolicyOf(entry: Desired, version: number, before: KeepPolicy | undefined): KeepPolicy {
  if (hasTraffic(entry, version)) return 'wanted';
  const { traffic, previousTraffic, rollout } = entry.function;
  if (rollout?.state === 'aborted' && rollout.version === version) return 'retired';
  if (previousTraffic.some((share) => share.version === version)) return 'previous';
  if (traffic.some((share) => share.version > version && share.weight > 0)) return 'retired';
  // Newer than all serving versions: it may be about to get its first traffic, unless it had traffic before.
  return before === undefined || before === 'wanted' ? 'wanted' : 'retired';
}
