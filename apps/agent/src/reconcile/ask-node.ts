import type { NodeRecord } from '@kiln/contract/records/records';
import { SECRET } from '@kiln/contract/wire/headers';
import { z } from 'zod';
import type { NeighbourState } from './neighbours.js';

const ANSWER_MS = 400;

const state = z.object({
  draining: z.boolean(),
  memory: z.number(),
  memoryPromised: z.number(),
  load: z.number(),
  instances: z.number(),
});

/** Asks a node at its control door how it is now. Undefined where it does not say. */
export async function askNode({ controlUrl }: Pick<NodeRecord, 'controlUrl'>, secret: string): Promise<NeighbourState | undefined> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(`${controlUrl}/status`, { headers: { [SECRET]: secret }, redirect: 'error', signal });
    if (!answer.ok) {
      await answer.body?.cancel();
      return undefined;
    }
    return state.parse(await answer.json());
  } catch {
    // Gone, silent, or not a node of ours: who asks goes by that.
    return undefined;
  }
}
