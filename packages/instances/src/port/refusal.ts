import { type ErrorDetails, KilnError } from '@kiln/contract/errors';

interface RefusalDetails extends ErrorDetails {
  /** It may be had here in a while, and nowhere else sooner: those who wait keep their places. */
  passing?: boolean;
}

/**
 * This node, or the cluster, has no place for another instance at the moment. Says nothing about the version: it may be tried
 * again as soon as there is room, and, unless it is `passing`, elsewhere at once.
 */
export class Refusal extends KilnError {
  readonly passing: boolean;

  constructor(code: 'concurrency_limit' | 'no_capacity', detail: string, { passing = false, ...details }: RefusalDetails = {}) {
    super(code, detail, details);
    this.passing = passing;
  }
}

/** Nobody needs the instance any more, and the engine's work for it had not begun. */
export class StartDropped extends Error {
  constructor() {
    super('nobody needs the instance any more');
  }
}
