import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord, VersionRecord } from '@kiln/contract/records/records';
import type { FunctionStore } from '@kiln/state/functions/function-store';
import { serving, type VersionSecrets } from '../secrets/secrets.js';
import { withReplaced } from '../traffic/rollout-step.js';
import type { Announcer } from '../view/announcer.js';

const ATTEMPTS = 20;

export interface RenewParts {
  functions: FunctionStore;
  announcer: Announcer;
  secrets: VersionSecrets;
  /** Another version of the same image and configuration, with the secrets as they are now; proved ready. */
  again(version: VersionRecord): Promise<number>;
}

/**
 * Puts a new version in the place of each that serves with a secret as it was before, at the same weight, until there is none.
 * A failure leaves the traffic where it is. Gives the versions that serve now; none for a function that is not there any more.
 */
export async function renew({ functions, announcer, secrets, again }: RenewParts, name: string): Promise<number[]> {
  const made = new Map<number, number>();
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const record = await functions.get(name);
    if (record === undefined) return [];
    const versions = serving(record.traffic, await functions.versions(name));
    const outdated = await secrets.outdated(versions);
    if (outdated.length === 0) return versions.map(({ version }) => version);
    const missing = outdated.filter(({ version }) => !made.has(version));
    for (const version of missing) made.set(version.version, await again(version));
    // What was read may have changed while they were made.
    if (missing.length > 0) continue;
    try {
      await replace(functions, record, made);
      await announcer.functionChanged(name);
    } catch (error) {
      if (!(error instanceof KilnError) || error.code !== 'conflict') throw error;
    }
  }
  throw new KilnError('conflict', `"${name}" keeps changing while it is given its secrets`, { fix: 'set the secret again' });
}

/** Unless somebody else wrote since it was read. A rollout goes on with the new versions; moving the traffic by hand would end it. */
async function replace(functions: FunctionStore, record: FunctionRecord, made: ReadonlyMap<number, number>): Promise<void> {
  const { name, revision } = record;
  if (record.rollout?.state === 'running') {
    await functions.stepRollout(name, (before) => (before.revision === revision ? withReplaced(before, made) : undefined));
  } else {
    await functions.setTraffic(name, withReplaced(record, made).traffic, { expectedRevision: revision });
  }
}
