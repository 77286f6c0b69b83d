import type { BuildArgs } from '@kiln/contract/api/build-args';
import { instructionsOf } from './dockerfile-text.js';

/** The path under which a function is called, for pages that must know it when they are built. */
export const BASE_PATH = 'BASE_PATH';

/** What a folder's own Dockerfile gets: what was given, and BASE_PATH where it asks for that; the engine complains of unasked ones. */
export function argsFor(dockerfile: string, given: BuildArgs, functionName: string): BuildArgs {
  const asks = declaresArg(dockerfile, BASE_PATH);
  return { ...(asks && { [BASE_PATH]: `/fn/${functionName}` }), ...given };
}

/** Whether an ARG of the file declares the name. */
export function declaresArg(dockerfile: string, name: string): boolean {
  return instructionsOf(dockerfile).some(
    ({ keyword, rest }) => keyword === 'ARG' && rest.split(/\s+/).some((word) => word === name || word.startsWith(`${name}=`)),
  );
}

/** A Dockerfile of ours declares each, in each of its stages: steps see them as variables. */
export function declareArgs(dockerfile: string, given: BuildArgs): string {
  const lines = Object.keys(given).map((name) => `ARG ${name}\n`);
  return dockerfile.replace(/^FROM .*\n/gm, (from) => from + lines.join(''));
}
