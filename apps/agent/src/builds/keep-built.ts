import { diskFull, isDiskFull } from '../images/disk-full.js';
import type { Builder } from './run-build.js';

interface Keeper {
  keep(image: string): Promise<void>;
  /** Called before the build: tries to make room on the disk. */
  makeRoom(): Promise<void>;
  /** Called where the disk was full. */
  wantRoom(): void;
}

/** Wraps a builder: this node holds the images that it makes. */
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
