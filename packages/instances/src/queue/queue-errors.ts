import { KilnError } from '@kiln/contract/errors';
import type { Census, Instance } from '../instance/instance.js';
import type { FunctionVersion } from '../port/container-driver.js';
import { Refusal } from '../port/refusal.js';

export function queueIsFull({ function: name, config }: FunctionVersion): KilnError {
  return new KilnError('concurrency_limit', `all instances of "${name}" are busy and its queue of ${config.queue} is full`);
}

/** `refused`: why there was no place for another instance, where that was so the last time. */
export function leaseTimedOut(version: FunctionVersion, census: Census, instances: Iterable<Instance>, refused?: KilnError): KilnError {
  const { function: name, config } = version;
  if (census.serving > 0) return new KilnError('concurrency_limit', `no instance of "${name}" became free in time`);
  // A start that takes too long says so itself, and earlier: one that is still under way began late.
  const late = census.now.starting > 0 ? gateIsBusy(version) : undefined;
  return (
    late ??
    obstacleOf(instances) ??
    refused ??
    new KilnError('start_timeout', `no instance of "${name}" was ready within ${config.startTimeout} ms`)
  );
}

/** What keeps the engine from beginning with them. */
function obstacleOf(instances: Iterable<Instance>): KilnError | undefined {
  for (const { obstacle } of instances) if (obstacle !== undefined) return obstacle();
  return undefined;
}

export function imageOnItsWay({ function: name }: FunctionVersion): KilnError {
  return new KilnError('start_timeout', `no instance of "${name}" was ready in time: its image is still on its way to this node`);
}

export function gateIsBusy({ function: name }: FunctionVersion): KilnError {
  return new Refusal('no_capacity', `no instance of "${name}" was started in time: the engine was busy with other starts`);
}
