import type { ChainableCommander, Redis } from 'ioredis';

/** What parts of a store need of its connection. */
export interface Commands {
  readonly ready: boolean;
  /** @throws KilnError `unavailable` */
  run<T>(work: (redis: Redis) => Promise<T>): Promise<T>;
  /** Several commands in one write. @throws as `run` */
  pipeline(fill: (pipeline: ChainableCommander) => void): Promise<unknown[]>;
}
