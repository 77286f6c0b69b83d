import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { KilnClient } from '@kiln/client/client';
import { Interrupted } from '../failure.js';
import { type DeployOutcome, deployed } from './deploy-function.js';
import { type DeployedFunction, readDeployed } from './deployed-function.js';

const ASK_MS = 3000;

/** Functions whose deployment had started, as they were before; undefined for a new function. */
type Before = ReadonlyMap<string, DeployedFunction | undefined>;

/** Asks the cluster what became of an interrupted deployment: a version may have got its traffic at the last moment. */
export async function interruptedDeploy(client: KilnClient, before: Before, outcomes: readonly DeployOutcome[]): Promise<Interrupted> {
  const open = [...before].filter(([name]) => !outcomes.some((outcome) => deployed(outcome) && outcome.function === name));
  const said = await Promise.all(open.map(([name, known]) => stateOf(client, name, known)));
  const done = outcomes.filter(deployed).filter(({ changed }) => changed);
  const changed = done.map(({ function: name, version }) => `${name} was deployed, and serves v${version}`);
  const nothing = changed.length === 0 && said.every((each) => each.same) ? ['nothing changed'] : [];
  return new Interrupted(['interrupted', ...nothing, ...changed, ...said.map(({ text }) => text)].join('; '), 'deploy again');
}

async function stateOf(client: KilnClient, name: string, before: DeployedFunction | undefined): Promise<{ text: string; same: boolean }> {
  const late = delay(ASK_MS, 'late' as const, { ref: false });
  const now = await Promise.race([readDeployed(client, name).catch(() => 'late' as const), late]);
  if (now === 'late') return { text: `it is not known whether ${name} changed: kiln versions ${name}`, same: false };
  const serves = servedText(now);
  if (isDeepStrictEqual(trafficOf(before), trafficOf(now)))
    return { text: `${name} ${serves === '' ? 'is not deployed' : `${serves} as before`}`, same: true };
  return { text: `${name} was deployed, and ${serves}`, same: false };
}

function trafficOf(known: DeployedFunction | undefined) {
  return (known?.function.traffic ?? []).filter(({ weight }) => weight > 0);
}

function servedText(known: DeployedFunction | undefined): string {
  const versions = trafficOf(known).map(({ version }) => `v${version}`);
  return versions.length === 0 ? '' : `serves ${versions.join(' and ')}`;
}
