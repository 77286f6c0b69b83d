import type { FunctionConfig } from '@kiln/contract/config/function-config';
import type { KilnError } from '@kiln/contract/errors';
import type { Census } from '../instance/instance.js';
import { Refusal } from '../port/refusal.js';
import { StartBackoff } from '../start/start-backoff.js';
import { type Demand, instancesMissing, instancesToStart, startsToDrop } from './instances-to-start.js';
import type { PoolNode } from './pool-node.js';
import { StartsAhead } from './starts-ahead.js';

/** How many instances one pool wants, and how many of those that are missing it may start now. */
export class StartPlan {
  /** So many are kept, whoever asks or not. */
  minimum = 0;
  private readonly backoff = new StartBackoff(() => performance.now());
  private readonly ahead = new StartsAhead();

  constructor(
    private readonly config: FunctionConfig,
    private readonly census: Census,
    private readonly node: Pick<PoolNode, 'startsAtOnce'>,
  ) {}

  /** What another start would end with, while it is too early for one. */
  get refusal(): KilnError | undefined {
    return this.backoff.refusal;
  }

  /** Why there was no place for another instance, where that was so the last time. */
  get refused(): KilnError | undefined {
    return this.backoff.refused;
  }

  /** ms until the next start is allowed. */
  get pause(): number {
    return this.backoff.remaining;
  }

  get startsAhead(): boolean {
    return this.ahead.active;
  }

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

  /** Resolves when so many serve, when no more can be had now, and after `limitMs`. */
  startAhead(count: number, limitMs: number): Promise<void> {
    return this.ahead.begin(count, limitMs);
  }

  /** After all that could be started was. */
  endStartsAhead(): void {
    this.ahead.endIfReached(this.census);
  }

  succeeded(): void {
    this.backoff.succeeded();
  }

  failed(error: KilnError): void {
    if (error instanceof Refusal) this.backoff.refuse(error);
    else this.backoff.failed(error);
  }

  close(): void {
    this.minimum = 0;
    this.ahead.stop();
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
      startsAtOnce: this.node.startsAtOnce,
      failing: this.backoff.failing,
      trial,
    };
  }
}
