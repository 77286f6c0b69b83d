import type { FunctionRecord } from '@kiln/contract/records/records';
import type { Traffic } from '@kiln/contract/records/traffic';

export function newFunction(name: string, now: string): FunctionRecord {
  return { name, revision: 0, lastVersion: 0, traffic: [], previousTraffic: [], sticky: false, createdAt: now, updatedAt: now };
}

/** The function with other traffic; the same record where nothing changes. Whoever moves the traffic ends a rollout that moved it. */
export function withTraffic(before: FunctionRecord, traffic: Traffic, sticky: boolean, now: string): FunctionRecord {
  const { rollout } = before;
  const changes = { traffic, previousTraffic: previousOf(before, traffic), sticky };
  if (rollout?.state !== 'running') {
    return sameTraffic(before.traffic, traffic) && before.sticky === sticky ? before : changed(before, changes, now);
  }
  const reason = 'the traffic was changed meanwhile';
  return changed(before, { ...changes, rollout: { ...rollout, state: 'cancelled', reason, endedAt: now } }, now);
}

/** What a later Kiln wrote beside a version's share stays with it as long as that version has one. */
export function changed(before: FunctionRecord, changes: Partial<FunctionRecord>, now: string): FunctionRecord {
  const { traffic = before.traffic } = changes;
  const kept = traffic.map((share) => ({ ...before.traffic.find(({ version }) => version === share.version), ...share }));
  return { ...before, ...changes, traffic: kept, revision: before.revision + 1, updatedAt: now };
}

/** What a rollback returns to. What a rollout tried on the way is nothing to return to. */
function previousOf({ traffic, previousTraffic, rollout }: FunctionRecord, next: Traffic): Traffic {
  const [last, before] = rollout?.state === 'running' ? [rollout.from, rollout.previous] : [traffic, previousTraffic];
  return last.length > 0 && !sameTraffic(last, next) ? last : before;
}

function sameTraffic(a: Traffic, b: Traffic): boolean {
  return a.length === b.length && a.every(({ version, weight }, i) => version === b[i]!.version && weight === b[i]!.weight);
}
