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

/** Requests the status of a node from its control listener. Undefined where it does not answer. */
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
    // Gone, silent, or not a node of this cluster.
    return undefined;
  }
}
