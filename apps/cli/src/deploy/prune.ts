import type { KilnClient } from '@kiln/client/client';
import { UsageFailure } from '../failure.js';
import { type DeployOutcome, failure } from './deploy-function.js';
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
  const functions = await client.functions.list();
  return functions.filter((found) => found.project === project && !declared.includes(found.name)).map(({ name }) => name);
}

export async function removeAll(client: KilnClient, names: readonly string[]): Promise<DeployOutcome[]> {
  const outcomes: DeployOutcome[] = [];
  for (const name of names) {
    const removal = client.functions.remove(name).then(() => ({ function: name, removed: true as const }));
    outcomes.push(await removal.catch(failure(name)));
  }
  return outcomes;
}
