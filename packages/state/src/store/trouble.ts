import { describeLoss, type Loss } from './continuity.js';
import { fixOf } from './desired-state.js';
import { REFUSAL_FIX } from './write-watch.js';

/** What is not well with a store that answers. */
export interface StoreTrouble {
  kind: 'lost' | 'refuses-writes';
  detail: string;
  fix: string;
}

/** A loss first: it is not over when the store takes writes again. */
export function troubleOf(loss: Loss | undefined, refusal: string | undefined): StoreTrouble | undefined {
  if (loss !== undefined) return { kind: 'lost', detail: `${describeLoss(loss)}; going on with what is known`, fix: fixOf(loss) };
  if (refusal !== undefined) return { kind: 'refuses-writes', detail: `the store refuses writes: ${refusal}`, fix: REFUSAL_FIX };
  return undefined;
}
