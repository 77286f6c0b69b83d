import { diskFull, isDiskFull } from '../images/disk-full.js';
import type { Builder } from './run-build.js';

interface Keeper {
  keep(image: string): Promise<void>;
  /** Room is needed on the disk. */
  makeRoom(): void;
}

/** The same builder, whose images are this node's from then on. */
export function keepBuilt(builder: Builder, { keep, makeRoom }: Keeper): Builder {
  return async (input) => {
    try {
      const built = await builder(input);
      await keep(built.image);
      return built;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      makeRoom();
      throw diskFull('the build failed', error);
    }
  };
}
