import type { KilnClient } from '@kiln/client/client';
import { table } from '../../output/table.js';
import { servingVersion } from '../../versions/serving-version.js';
import { type DeployedFunction, readDeployed } from '../deployed-function.js';
import { madeBefore, servingAlready } from '../plan.js';
import type { PreparedFunction } from '../prepare.js';
import { type DeclaredChange, declaredChanges } from './declared-changes.js';

/** What a deployment would do to one function. */
export interface Intended {
  function: string;
  action: 'create' | 'build' | 'reuse' | 'keep' | 'remove';
  /** The version that serves now. */
  version?: number;
  changes?: DeclaredChange[];
}

/** Reads the cluster and changes nothing. @throws KilnError */
export async function intended(client: KilnClient, candidates: readonly PreparedFunction[], force: boolean): Promise<Intended[]> {
  const all: Intended[] = [];
  for (const candidate of candidates) {
    const known = await readDeployed(client, candidate.name);
    const serving = known && servingVersion(known.function, known.versions);
    if (known === undefined || serving === undefined) {
      all.push({ function: candidate.name, action: 'create' });
      continue;
    }
    const action = force ? 'build' : await actionFor(client, candidate, known);
    const changes = action === 'keep' ? [] : declaredChanges(candidate.config, serving);
    all.push({ function: candidate.name, action, version: serving.version, changes });
  }
  return all;
}

async function actionFor(client: KilnClient, candidate: PreparedFunction, known: DeployedFunction): Promise<Intended['action']> {
  const serving = servingAlready(candidate, known);
  if (serving !== undefined) return (await client.versions.isImageLost(candidate.name, serving.version)) ? 'build' : 'keep';
  return madeBefore(candidate, known) === undefined ? 'build' : 'reuse';
}

const WORDS: Record<Intended['action'], string> = {
  create: 'would be built: it is new',
  build: 'would be built',
  reuse: 'would use an existing image again',
  keep: 'unchanged',
  remove: 'would be removed',
};

export function intendedText(all: readonly Intended[], columns?: number): string {
  const rows = all.flatMap(({ function: name, action, version, changes = [] }) => [
    [name, version === undefined ? undefined : `v${version}`, WORDS[action]],
    ...changes.map(({ key, from, to }) => ['', '', `${key}: ${told(from)} -> ${to === undefined ? 'what the module says' : told(to)}`]),
  ]);
  return table(['function', 'serves', 'this deployment'], rows, columns);
}

function told(value: unknown): string {
  if (value === undefined) return 'not set';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
