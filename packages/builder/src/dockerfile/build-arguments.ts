import type { BuildArgs } from '@kiln/contract/api/build-args';
import { instructionsOf } from './dockerfile-text.js';

/** The variable with the path of a function, for pages that need it at build time. */
export const BASE_PATH = 'BASE_PATH';

/** Build arguments for a folder's own Dockerfile: the given ones, and BASE_PATH where it declares that. The engine warns about others. */
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

/** Declares each argument in each stage of a Dockerfile of Kiln's own, so that steps see them as variables. */
export function declareArgs(dockerfile: string, given: BuildArgs): string {
  const lines = Object.keys(given).map((name) => `ARG ${name}\n`);
  return dockerfile.replace(/^FROM .*\n/gm, (from) => from + lines.join(''));
}
