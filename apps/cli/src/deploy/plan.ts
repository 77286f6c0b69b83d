import type { FunctionView } from '@kiln/contract/api/control-api';
import type { VersionRecord } from '@kiln/contract/records/records';
import type { DeployedFunction } from './deployed-function.js';
import type { PreparedFunction } from './prepare.js';

/** The version that serves already what would be deployed: the newest that ever was ready, with all the traffic. */
export function servingAlready(
  { sourceDigest, project }: Pick<PreparedFunction, 'sourceDigest' | 'project'>,
  known: DeployedFunction | undefined,
): VersionRecord | undefined {
  const newest = known?.versions.findLast(({ state }) => state === 'ready');
  if (known === undefined || newest?.sourceDigest !== sourceDigest) return undefined;
  const isMarked = project === undefined || known.function.project === project;
  const serves = known.function.traffic.some(({ version, weight }) => version === newest.version && weight === 100);
  return isMarked && serves ? newest : undefined;
}

/** The newest version that was made from the same, whatever became of it or its configuration since: its image is there. */
export function madeBefore({ sourceDigest }: Pick<PreparedFunction, 'sourceDigest'>, known: DeployedFunction): VersionRecord | undefined {
  return known.versions.findLast((version) => version.state === 'ready' && version.sourceDigest === sourceDigest);
}

/** What a project deployed once and does not declare any more. */
export function toPrune(functions: readonly FunctionView[], project: string, declared: readonly string[]): string[] {
  return functions.filter((found) => found.project === project && !declared.includes(found.name)).map(({ name }) => name);
}

/** The version that a new one would be compared with: most of the traffic, else the newest that is ready. */
export function servingVersion({ function: { traffic }, versions }: DeployedFunction): VersionRecord | undefined {
  const most = traffic.toSorted((a, b) => b.weight - a.weight)[0]?.version;
  return versions.find(({ version }) => version === most) ?? versions.findLast(({ state }) => state === 'ready');
}
