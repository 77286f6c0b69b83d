import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord, VersionRecord } from '@kiln/contract/records/records';
import { type DeploymentStep, TakenOver } from '@kiln/state/deployments/deployment-step';
import type { FunctionStore } from '@kiln/state/functions/function-store';
import { serving, type VersionSecrets } from '../secrets/secrets.js';
import { withReplaced } from '../traffic/rollout-step.js';
import type { Announcer } from '../view/announcer.js';
import type { Deployment } from './deployment.js';

const ATTEMPTS = 20;

export interface RenewParts {
  functions: FunctionStore;
  announcer: Announcer;
  secrets: VersionSecrets;
  /** Another version of the same image and configuration, with the secrets as they are now; proved ready, its deployment switching. */
  again(version: VersionRecord): Promise<Deployment>;
}

/**
 * Puts a new version in the place of each that serves with a secret as it was before, at the same weight, until there is none.
 * A failure leaves the traffic where it is. Gives the versions that serve now; none for a function that is not there any more.
 */
export async function renew(parts: RenewParts, name: string): Promise<number[]> {
  const { functions, secrets, again } = parts;
  const made = new Map<number, Deployment>();
  let failure: unknown;
  try {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const record = await functions.get(name);
      if (record === undefined) return [];
      const versions = serving(record.traffic, await functions.versions(name));
      const outdated = (await secrets.outdated(versions)).map(({ version }) => version);
      if (outdated.length === 0) return versions.map(({ version }) => version);
      const missing = versions.filter(({ version }) => outdated.includes(version) && !made.has(version));
      for (const version of missing) made.set(version.version, await again(version));
      // What was read may have changed while they were made.
      if (missing.length > 0) continue;
      await replace(parts, record, new Map([...made].filter(([version]) => outdated.includes(version))));
    }
    throw new KilnError('conflict', `"${name}" keeps changing while it is given its secrets`, { fix: 'set the secret again' });
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    for (const [version, deployment] of made) await deployment.fail(failure ?? noTrafficLeft(name, version));
  }
}

/** What another router began: a version that is ready goes in the place of the one that it was made for. @throws KilnError */
export async function finishRenewal(parts: Pick<RenewParts, 'functions' | 'announcer'>, deployment: Deployment): Promise<void> {
  const { function: name, replaces = 0 } = deployment.record;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const record = await parts.functions.get(name);
    const share = record?.traffic.find(({ version, weight }) => version === replaces && weight > 0);
    if (record === undefined || share === undefined) throw noTrafficLeft(name, replaces);
    if (await replace(parts, record, new Map([[replaces, deployment]]))) return;
  }
  throw new KilnError('conflict', `"${name}" keeps changing while it is given its secrets`, { fix: 'set the secret again' });
}

/** False where somebody else wrote since it was read. A rollout goes on with the new versions; moving the traffic by hand would end it. */
async function replace(
  { functions, announcer }: Pick<RenewParts, 'functions' | 'announcer'>,
  record: FunctionRecord,
  made: ReadonlyMap<number, Deployment>,
): Promise<boolean> {
  const { name, revision } = record;
  const now = new Date().toISOString();
  const versions = new Map([...made].map(([version, deployment]) => [version, deployment.record.version ?? 0]));
  try {
    await doneTogether([...made.values()], (steps) => {
      if (record.rollout?.state !== 'running') {
        return functions.setTraffic(name, withReplaced(record, versions, now).traffic, { expectedRevision: revision, steps });
      }
      return functions.stepRollout(
        name,
        (before) => {
          if (before.revision !== revision) throw new KilnError('conflict', `"${name}" has changed meanwhile`);
          return withReplaced(before, versions, now);
        },
        steps,
      );
    });
  } catch (error) {
    if (error instanceof KilnError && error.code === 'conflict' && !(error instanceof TakenOver)) return false;
    throw error;
  }
  await announcer.functionChanged(name);
  return true;
}

/** All of them are done, with one change, or none. */
function doneTogether<T>(deployments: readonly Deployment[], write: (steps: DeploymentStep[]) => Promise<T>): Promise<T> {
  const all = deployments.reduceRight<(steps: DeploymentStep[]) => Promise<T>>(
    (next, deployment) => (steps) => deployment.move('done', (step) => next([...steps, step()])),
    write,
  );
  return all([]);
}

function noTrafficLeft(name: string, version: number): KilnError {
  return new KilnError('conflict', `version ${version} of "${name}", in whose place it was to go, has no traffic any more`);
}
