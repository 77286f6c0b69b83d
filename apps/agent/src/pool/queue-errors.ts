import { KilnError } from '@kiln/contract/errors';
import type { FunctionVersion } from './container-driver.js';
import { Refusal } from './refusal.js';

export function queueIsFull({ function: name, config }: FunctionVersion): KilnError {
  return new KilnError('concurrency_limit', `all instances of "${name}" are busy and its queue of ${config.queue} is full`);
}

/** `serving`: how many instances take leases; `obstacle`: what kept others from starting. */
export function waitedInVain({ function: name, config }: FunctionVersion, serving: number, obstacle?: KilnError): KilnError {
  if (serving > 0) return new KilnError('concurrency_limit', `no instance of "${name}" became free in time`);
  return obstacle ?? new KilnError('start_timeout', `no instance of "${name}" was ready within ${config.startTimeout} ms`);
}

export function imageOnItsWay({ function: name }: FunctionVersion): KilnError {
  return new KilnError('start_timeout', `no instance of "${name}" was ready in time: its image is still on its way to this node`);
}

export function gateIsBusy({ function: name }: FunctionVersion): KilnError {
  return new Refusal('no_capacity', `no instance of "${name}" was started in time: the engine is busy with other starts`);
}
