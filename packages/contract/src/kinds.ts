import { z } from 'zod';

export const imageKind = z.enum(['runner', 'python', 'http']);
export type ImageKind = z.infer<typeof imageKind>;

interface Kind {
  /** `socket`: a runner of ours dials in to the agent; `address`: the program listens on its port. */
  reachedBy: 'socket' | 'address';
  /** Where the configuration names none. */
  concurrency: number;
  /** The program that loads a user's module; the image's own command where there is none. */
  runner: 'node' | 'python' | undefined;
}

/** All that differs between the kinds of image. */
export const KINDS: Readonly<Record<ImageKind, Kind>> = {
  runner: { reachedBy: 'socket', concurrency: 1, runner: 'node' },
  python: { reachedBy: 'socket', concurrency: 1, runner: 'python' },
  http: { reachedBy: 'address', concurrency: 100, runner: undefined },
};
