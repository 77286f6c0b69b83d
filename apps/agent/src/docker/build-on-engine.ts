import type { BuildRequest } from '@kiln/builder/build';
import type { Builder, BuildInput } from '../builds/run-build.js';

/** Builds on this node's engine, so that the image is where it will run. */
export function buildOnEngine(engine: Omit<BuildRequest, keyof BuildInput>): Builder {
  return async (input) => {
    // Loaded with the first build: most nodes build nothing for a long time.
    const { build } = await import('@kiln/builder/build');
    return build({ ...engine, ...input });
  };
}
