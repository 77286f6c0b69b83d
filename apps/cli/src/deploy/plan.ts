import type { VersionRecord } from '@kiln/contract/records/records';
import type { DeployedFunction } from './deployed-function.js';
import type { PreparedFunction } from './prepare.js';

/** The version that already serves these sources: the newest ready version, if it has all the traffic. */
export function servingAlready({ sourceDigest, project }: PreparedFunction, known: DeployedFunction): VersionRecord | undefined {
  const newest = known.versions.findLast(({ state }) => state === 'ready');
  if (newest?.sourceDigest !== sourceDigest) return undefined;
  const isMarked = project === undefined || known.function.project === project;
  const serves = known.function.traffic.some(({ version, weight }) => version === newest.version && weight === 100);
  return isMarked && serves ? newest : undefined;
}

/** The newest ready version with the same sources. It may have lost its traffic, but its image exists. */
export function madeBefore({ sourceDigest }: PreparedFunction, known: DeployedFunction): VersionRecord | undefined {
  return known.versions.findLast((version) => version.state === 'ready' && version.sourceDigest === sourceDigest);
}
