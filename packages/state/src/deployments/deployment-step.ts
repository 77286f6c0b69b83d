import { KilnError } from '@kiln/contract/errors';
import { type DeploymentRecord, hasEnded } from '@kiln/contract/records/deployment';
import { deploymentsKey, OPEN_DEPLOYMENTS } from '../store/keys.js';
import type { Store } from '../store/store.js';
import { stepping, TAKEN_OVER } from './deployment-scripts.js';

/** The next record of a deployment, valid only behind the one that its writer knows. */
export interface DeploymentStep {
  /** As it was written last; empty for a new one. */
  before: string;
  record: DeploymentRecord;
  /** The router that has it must write again so soon. */
  leaseMs: number;
}

export interface Change {
  script: string;
  keys: readonly string[];
  values: readonly (string | number)[];
}

/** Another router carries out this deployment now, for this one was silent for too long. */
export class TakenOver extends KilnError {
  constructor(name: string) {
    super('conflict', `this router was silent for too long, and another one has taken over the deployment of "${name}"`, {
      fix: `see what became of it: kiln versions ${name}`,
    });
  }
}

/** Changes the desired state and, in one step with it, deployments of one function. @throws TakenOver, and nothing has changed */
export async function changeWithSteps(store: Store, change: Change, of: string, steps: readonly DeploymentStep[]): Promise<unknown> {
  const { script, keys, values } = change;
  const [first] = steps;
  if (first === undefined) return store.desired.change(script, keys, values, of);
  const more = steps.flatMap(({ before, record, leaseMs }) => [
    record.id,
    `${record.function} ${record.id}`,
    before,
    JSON.stringify(record),
    hasEnded(record) ? 0 : leaseMs,
  ]);
  const allKeys = [...keys, deploymentsKey(first.record.function), OPEN_DEPLOYMENTS];
  const reply = await store.desired.change(stepping(script), allKeys, [...values, ...more, steps.length], of);
  if (reply === TAKEN_OVER) throw new TakenOver(first.record.function);
  return reply;
}
