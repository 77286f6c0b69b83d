import type { KilnClient } from '@kiln/client/client';
import { UsageFailure } from '../failure.js';
import { attempt, type DeployOutcome } from './deploy-function.js';
import { toPrune } from './plan.js';
import type { PreparedFunction } from './prepare.js';

/**
 * The functions of the candidates' project that it no longer declares.
 * @throws UsageFailure when no single project is named: nothing then says which functions belong to it
 */
export async function findPruned(client: KilnClient, candidates: readonly PreparedFunction[]): Promise<string[]> {
  const projects = new Set(candidates.map(({ project }) => project));
  const [project] = projects;
  if (projects.size !== 1 || project === undefined) {
    throw new UsageFailure(
      projects.size > 1 ? '--prune is for one project, and there are several here' : '--prune needs to know which project this is',
      'name it in the top kiln.json as "project": "my-project", or with --project',
    );
  }
  const declared = candidates.map(({ name }) => name);
  return toPrune(await client.functions.list(), project, declared);
}

export async function removeAll(client: KilnClient, names: readonly string[]): Promise<DeployOutcome[]> {
  const outcomes: DeployOutcome[] = [];
  for (const name of names) {
    outcomes.push(
      await attempt(name, async () => {
        await client.functions.remove(name);
        return { function: name, removed: true as const };
      }),
    );
  }
  return outcomes;
}
