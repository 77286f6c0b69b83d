import type { FunctionVersion } from './container-driver.js';
import type { Instance } from './instance.js';
import type { Census } from './instance-state.js';

/** What a pool needs of the node. */
export interface PoolNode {
  /** Makes an instance, not yet started. */
  create(version: FunctionVersion, census: Census): Instance;
  /** Brings it up until it is ready. On failure nothing is left of it. @throws KilnError */
  start(instance: Instance): Promise<void>;
  /** Ends it, without grace where it is condemned. Resolves when it is confirmed gone. Never rejects. */
  stop(instance: Instance): Promise<void>;
  /** A lease began (1) or ended (-1). */
  leased(version: FunctionVersion, change: 1 | -1): void;
}
