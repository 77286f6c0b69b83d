import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord } from '@kiln/contract/records/records';
import type { StartRollout } from '@kiln/contract/records/rollout';
import type { Traffic } from '@kiln/contract/records/traffic';
import type { FunctionStore, TrafficOptions } from '@kiln/state/functions/function-store';
import { functionNotFound } from '@kiln/state/functions/missing';
import type { Announcer } from '../view/announcer.js';
import { begin } from './rollout-step.js';

export interface PointerParts {
  functions: FunctionStore;
  announcer: Announcer;
}

/** Moves a function's traffic to versions that are ready. @throws KilnError, and nothing has changed */
export async function putTraffic(
  { functions, announcer }: PointerParts,
  name: string,
  traffic: Traffic,
  options?: TrafficOptions,
): Promise<FunctionRecord> {
  const record = await functions.setTraffic(name, traffic, options);
  await announcer.functionChanged(name);
  return record;
}

/** Back to the traffic before the last change, or all to one version. @throws KilnError `conflict` when there is nothing to go back to */
export async function rollback(parts: PointerParts, name: string, version?: number): Promise<FunctionRecord> {
  if (version !== undefined) return putTraffic(parts, name, [{ version, weight: 100 }]);
  const record = await parts.functions.get(name);
  if (record === undefined) throw functionNotFound(name);
  if (record.previousTraffic.length === 0) {
    throw new KilnError('conflict', `"${name}" has had no other traffic to go back to`, { fix: `kiln inspect ${name}` });
  }
  return putTraffic(parts, name, record.previousTraffic, { expectedRevision: record.revision });
}

/** Gives a ready version its first share. @throws KilnError `conflict` while a rollout runs, or with nothing to compare the version with */
export async function startRollout(
  { functions, announcer }: PointerParts,
  name: string,
  request: StartRollout,
  startedBy?: string,
): Promise<FunctionRecord> {
  const version = request.version ?? (await newestReady(functions, name));
  const record = await functions.stepRollout(name, (before) => {
    refuse(before, version);
    return begin(before, version, request, new Date().toISOString(), startedBy);
  });
  await announcer.functionChanged(name);
  return record;
}

function refuse({ name, rollout, traffic }: FunctionRecord, version: number): void {
  if (rollout?.state === 'running') {
    throw new KilnError('conflict', `a rollout of version ${rollout.version} of "${name}" is under way`, {
      fix: `wait for its end, or end it: kiln rollback ${name}`,
    });
  }
  if (traffic.some((share) => share.version !== version && share.weight > 0)) return;
  throw new KilnError('conflict', `no other version of "${name}" has traffic: there is nothing to compare version ${version} with`, {
    fix: `deploy without moving the traffic: kiln deploy --no-traffic; then: kiln rollout ${name}`,
  });
}

async function newestReady(functions: FunctionStore, name: string): Promise<number> {
  const newest = (await functions.versions(name)).findLast(({ state }) => state === 'ready');
  if (newest !== undefined) return newest.version;
  if ((await functions.get(name)) === undefined) throw functionNotFound(name);
  throw new KilnError('conflict', `"${name}" has no version that is ready`, { fix: `kiln versions ${name}` });
}
