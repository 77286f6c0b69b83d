import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord } from '@kiln/contract/records/records';
import type { StartRollout } from '@kiln/contract/records/rollout';
import { begin } from './rollout-step.js';
import type { PointerParts } from './traffic.js';

/**
 * Gives a version that is ready its first share of the traffic; the routers see to the rest.
 * @throws KilnError `conflict` while another one runs, or where there is nothing to compare the version with
 */
export async function startRollout(
  { functions, announcer }: PointerParts,
  name: string,
  request: StartRollout,
  startedBy?: string,
): Promise<FunctionRecord> {
  const version = request.version ?? (await newestReady({ functions }, name));
  const record = await functions.stepRollout(name, (before) => {
    refuse(before, version);
    return begin(before, version, request, startedBy);
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

async function newestReady({ functions }: Pick<PointerParts, 'functions'>, name: string): Promise<number> {
  const newest = (await functions.versions(name)).findLast(({ state }) => state === 'ready');
  if (newest !== undefined) return newest.version;
  if ((await functions.get(name)) === undefined)
    throw new KilnError('function_not_found', `there is no function "${name}"`, { fix: 'kiln ls' });
  throw new KilnError('conflict', `"${name}" has no version that is ready`, { fix: `kiln versions ${name}` });
}
