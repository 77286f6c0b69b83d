import type { Census, Instance, StartReason } from '../instance/instance.js';
import type { FunctionVersion } from '../port/container-driver.js';

/** What a pool needs of the node. */
export interface PoolNode {
  /** Makes an instance, not yet started. */
  create(version: FunctionVersion, census: Census, reason: StartReason): Instance;
  /** So many starts the engine works at side by side. */
  readonly startsAtOnce: number;
  /** Brings it up until it is ready. On failure nothing is left of it. @throws KilnError, StartDropped where it is not needed any more */
  start(instance: Instance): Promise<void>;
  /** Ends it, without grace where it is condemned. Resolves when it is confirmed gone. Never rejects. */
  stop(instance: Instance): Promise<void>;
  /** A lease began (1) or ended (-1). */
  leased(version: FunctionVersion, change: 1 | -1): void;
}
