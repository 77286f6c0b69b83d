import type { BuildArgs } from '@kiln/contract/build-args';

/** The path under which a function is called, for pages that must know it when they are built. */
export const BASE_PATH = 'BASE_PATH';

/** What a folder's own Dockerfile gets: what was given, and BASE_PATH where it asks for that; the engine complains of unasked ones. */
export function argsFor(dockerfile: string, given: BuildArgs, functionName: string): BuildArgs {
  const asks = new RegExp(`^\\s*ARG\\s+(?:.*\\s)?${BASE_PATH}\\b`, 'im').test(dockerfile);
  return { ...(asks && { [BASE_PATH]: `/fn/${functionName}` }), ...given };
}

/** A Dockerfile of ours declares each, in each of its stages: steps see them as variables. */
export function declareArgs(dockerfile: string, given: BuildArgs): string {
  const lines = Object.keys(given).map((name) => `ARG ${name}\n`);
  return dockerfile.replace(/^FROM .*\n/gm, (from) => from + lines.join(''));
}
