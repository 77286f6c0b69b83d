import type { FunctionConfig } from '@kiln/contract/config/function-config';
import type { Census } from '../instance/instance.js';
import { StartBackoff } from '../start/start-backoff.js';
import type { Starter } from '../start/start-instance.js';
import { type Demand, instancesMissing, instancesToStart, startsToDrop } from './instances-to-start.js';
import { StartsAhead } from './starts-ahead.js';

/** How many instances one pool wants, and how many of those that are missing it may start now. */
export class StartPlan {
  /** So many are kept, whoever asks or not. */
  minimum = 0;
  readonly backoff = new StartBackoff(() => performance.now());
  readonly ahead = new StartsAhead();

  constructor(
    private readonly config: FunctionConfig,
    private readonly census: Census,
    private readonly starter: Pick<Starter, 'atOnce'>,
  ) {}

  /** Beyond the queue as many may wait as instances can still be made for. */
  mayWait(waiting: number): number {
    const { queue, concurrency } = this.config;
    return queue + (this.census.coming + instancesMissing(this.demand(waiting, false))) * concurrency;
  }

  toStart(waiting: number, trial: boolean): number {
    return instancesToStart(this.demand(waiting, trial));
  }

  /** None of the instances on their way is too many. */
  needsStarts(waiting: number): boolean {
    return startsToDrop(this.demand(waiting, false)) === 0;
  }

  private demand(waiting: number, trial: boolean): Demand {
    const { concurrency, maxInstances } = this.config;
    const { coming, existing, serving } = this.census;
    return {
      waiting,
      coming,
      existing,
      serving,
      concurrency,
      maxInstances,
      minInstances: Math.max(this.minimum, this.ahead.minimum(serving)),
      startsAtOnce: this.starter.atOnce,
      failing: this.backoff.failing,
      trial,
    };
  }
}
