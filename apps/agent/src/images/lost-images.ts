import type { FunctionRecord, VersionRecord } from '@kiln/contract/records/records';

/** A sentence for each function that cannot start because its image, which was built on this node, is gone. */
export function lostImages(
  lost: ReadonlySet<string>,
  all: readonly { function: Pick<FunctionRecord, 'name' | 'traffic'>; versions: readonly Pick<VersionRecord, 'version' | 'image'>[] }[],
): string[] {
  if (lost.size === 0) return [];
  return all.flatMap(({ function: { name, traffic }, versions }) =>
    versions
      .filter(({ version, image }) => lost.has(image) && traffic.some((share) => share.version === version && share.weight > 0))
      .map(({ version }) => `"${name}" cannot start here: the image of its version ${version} was removed from the engine (kiln deploy)`),
  );
}
