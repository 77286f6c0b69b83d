import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord } from '@kiln/contract/records/records';
import { TakenOver } from '@kiln/state/deployments/deployment-step';
import type { FunctionStore } from '@kiln/state/functions/function-store';

const ATTEMPTS = 20;
/** A store that goes away at this moment may have written before it went. So long it is waited for, to know. */
const UNKNOWN_MS = 10_000;
const ASK_EVERY_MS = 200;

/**
 * Gives all traffic to a version that was just proved, unless a later one has some already: of two deployments at the same time
 * the later one wins, whichever is ready first.
 * @throws KilnError `conflict`; `unavailable` where the store went away and it is not known whether the traffic has moved
 */
export async function switchTraffic(
  functions: Pick<FunctionStore, 'get' | 'setTraffic'>,
  name: string,
  version: number,
  unknownMs: number = UNKNOWN_MS,
): Promise<FunctionRecord> {
  const deadline = performance.now() + unknownMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const record = await functions.get(name);
      if (record === undefined) throw new Superseded(`"${name}" was removed while version ${version} was deployed`);
      // Our own write, whose answer was lost.
      if (record.traffic.some((share) => share.version === version && share.weight === 100)) return record;
      const later = record.traffic.find((share) => share.weight > 0 && share.version > version);
      if (later !== undefined) throw new Superseded(`version ${later.version} of "${name}" was deployed meanwhile and has the traffic`);
      return await functions.setTraffic(name, [{ version, weight: 100 }], { expectedRevision: record.revision });
    } catch (error) {
      if (!(error instanceof KilnError) || error instanceof Superseded || error instanceof TakenOver) throw error;
      if (error.code === 'unavailable' && performance.now() < deadline) await delay(ASK_EVERY_MS);
      else if (error.code === 'unavailable') throw notKnown(name, version, error);
      // Someone else wrote between our read and our write.
      else if (error.code !== 'conflict' || attempt >= ATTEMPTS) throw error;
    }
  }
}

/** No other try would change it. */
class Superseded extends KilnError {
  constructor(detail: string) {
    super('conflict', detail);
  }
}

function notKnown(name: string, version: number, cause: KilnError): KilnError {
  return new KilnError('unavailable', `the store went away while version ${version} was given the traffic, which may have moved`, {
    fix: `see which version serves: kiln versions ${name}`,
    cause,
  });
}
