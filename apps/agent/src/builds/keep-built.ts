import { diskFull, isDiskFull } from '../images/disk-full.js';
import type { Builder } from './run-build.js';

interface Keeper {
  keep(image: string): Promise<void>;
  /** Before the build: room on the disk, as far as there can be more. */
  makeRoom(): Promise<void>;
  /** There was not enough. */
  wantRoom(): void;
}

/** The same builder, whose images are this node's from then on. */
export function keepBuilt(builder: Builder, { keep, makeRoom, wantRoom }: Keeper): Builder {
  return async (input) => {
    await makeRoom();
    try {
      const built = await builder(input);
      await keep(built.image);
      return built;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      wantRoom();
      throw diskFull('the build failed', error);
    }
  };
}
