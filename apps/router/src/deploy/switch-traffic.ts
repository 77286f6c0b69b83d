import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord } from '@kiln/contract/records';
import type { FunctionStore } from '@kiln/state/function-store';

const ATTEMPTS = 20;

/**
 * Gives all traffic to a version that was just proved, unless a later one has some already: of two deployments at the same time
 * the later one wins, whichever is ready first.
 */
export async function switchTraffic(functions: FunctionStore, name: string, version: number): Promise<FunctionRecord> {
  for (let attempt = 1; ; attempt += 1) {
    const record = await functions.get(name);
    if (record === undefined) throw new KilnError('conflict', `"${name}" was removed while version ${version} was deployed`);
    const later = record.traffic.find((share) => share.weight > 0 && share.version > version);
    if (later !== undefined) {
      throw new KilnError('conflict', `version ${later.version} of "${name}" was deployed meanwhile and has the traffic`);
    }
    try {
      return await functions.setTraffic(name, [{ version, weight: 100 }], { expectedRevision: record.revision });
    } catch (error) {
      // Someone else wrote between our read and our write.
      if (!(error instanceof KilnError && error.code === 'conflict') || attempt === ATTEMPTS) throw error;
    }
  }
}
