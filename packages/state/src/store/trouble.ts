import { describeLoss, type Loss } from './continuity.js';
import { fixOf } from './desired-state.js';
import { REFUSAL_FIX } from './write-watch.js';

/** A fault of a store that answers. */
export interface StoreTrouble {
  kind: 'lost' | 'refuses-writes';
  detail: string;
  fix: string;
}

/** A loss comes first: it does not end when the store accepts writes again. */
export function troubleOf(loss: Loss | undefined, refusal: string | undefined): StoreTrouble | undefined {
  if (loss !== undefined)
    return { kind: 'lost', detail: `${describeLoss(loss)}; Kiln goes on with what it holds in memory`, fix: fixOf(loss) };
  if (refusal !== undefined) return { kind: 'refuses-writes', detail: `the store refuses writes: ${refusal}`, fix: REFUSAL_FIX };
  return undefined;
}
