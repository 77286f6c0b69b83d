import { type ErrorDetails, KilnError } from '@kiln/contract/errors';

/**
 * This node, or the cluster, has no place for another instance at the moment. Says nothing about the version: it may be tried
 * again as soon as there is room, and elsewhere at once.
 */
export class Refusal extends KilnError {
  constructor(code: 'concurrency_limit' | 'no_capacity', detail: string, details: ErrorDetails = {}) {
    super(code, detail, details);
  }
}
