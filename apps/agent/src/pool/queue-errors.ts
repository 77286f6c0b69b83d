import { KilnError } from '@kiln/contract/errors';
import type { FunctionVersion } from './container-driver.js';

export function queueIsFull({ function: name, config }: FunctionVersion): KilnError {
  return new KilnError('concurrency_limit', `all instances of "${name}" are busy and its queue of ${config.queue} is full`);
}

/** `serving`: how many instances take leases. */
export function waitedInVain({ function: name, config }: FunctionVersion, serving: number): KilnError {
  if (serving > 0) return new KilnError('concurrency_limit', `no instance of "${name}" became free in time`);
  return new KilnError('start_timeout', `no instance of "${name}" was ready within ${config.startTimeout} ms`);
}
