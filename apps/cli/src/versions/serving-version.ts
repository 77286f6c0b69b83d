import type { FunctionRecord, VersionRecord } from '@kiln/contract/records/records';

/** The version on which a change is based: the one with the most traffic, else the newest ready one. */
export function servingVersion({ traffic }: FunctionRecord, versions: readonly VersionRecord[]): VersionRecord | undefined {
  const number = traffic.toSorted((a, b) => b.weight - a.weight)[0]?.version;
  return versions.find(({ version }) => version === number) ?? versions.findLast(({ state }) => state === 'ready');
}
