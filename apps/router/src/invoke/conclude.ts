import type { FunctionConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { type Outcome, SLOW_BODY } from '@kiln/forward/exchange/forward';
import { tooLarge } from './admission.js';
import type { InvocationEnd } from './nodes/invocation-record.js';
import { RefusedAtDoor } from './refuse-at-door.js';

/**
 * What the last attempt's outcome is for the caller.
 * @throws KilnError where the caller has not had an answer yet
 */
export function conclude(outcome: Outcome, config: FunctionConfig): InvocationEnd {
  switch (outcome.kind) {
    case 'relayed':
      return outcome.status === 101 ? 'switched' : 'answered';
    case 'client_gone':
      return 'client_gone';
    case 'body_too_large':
      if (outcome.responseStarted) return 'cut';
      throw tooLarge(config);
    case 'aborted':
      if (outcome.responseStarted) return 'cut';
      throw outcome.reason === SLOW_BODY
        ? new RefusedAtDoor(408, outcome.reason)
        : new KilnError('unavailable', `the request was given up: ${outcome.reason}`);
    case 'broken':
      return 'cut';
    case 'not_sent':
    case 'withheld':
      throw new KilnError('internal', 'the last attempt did not end');
  }
}
