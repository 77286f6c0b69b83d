import type { FunctionRecord, VersionRecord } from '@kiln/contract/records/records';
import { isOfLaterSchema } from '@kiln/contract/stored';

/** Versions kept of each function, beside those that are needed. */
const KEPT = 20;

/**
 * Versions that can go: not among the newest that started (nor, of those that did not, among the newest of all), not pinned, no
 * later Kiln wrote them, and nothing can return to them. Asks nothing and changes nothing.
 */
export function versionsToRemove(record: FunctionRecord, versions: readonly VersionRecord[], kept = KEPT): VersionRecord[] {
  const newestFirst = versions.toSorted((a, b) => b.version - a.version);
  const newest = new Set([...newestFirst.slice(0, kept), ...newestFirst.filter(({ state }) => state !== 'failed').slice(0, kept)]);
  const needed = neededBy(record);
  const mayGo = (each: VersionRecord) => each.pinned !== true && each.state !== 'pending' && !isOfLaterSchema(each);
  return versions.filter((each) => !newest.has(each) && !needed.has(each.version) && mayGo(each));
}

/** Those that have traffic, and those that a rollback or the end of a rollout returns to. */
function neededBy({ traffic, previousTraffic, rollout }: FunctionRecord): ReadonlySet<number> {
  const running = rollout?.state === 'running' ? rollout : undefined;
  const shares = [traffic, previousTraffic, running?.from ?? [], running?.previous ?? []].flat();
  return new Set([...shares.map(({ version }) => version), ...(running === undefined ? [] : [running.version])]);
}
