import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { PushTurnStore } from '@kiln/state/push-turn-store';

/** A dead router blocks the others for no longer. */
const LEASE_MS = 10_000;
const RENEW_MS = 3000;
const RETRY_MS = 300;

/** The turn of a push among routers: a lease in the store, renewed as long as this process lives and reaches the store. */
export interface SharedTurn {
  /** To be called before main or traffic moves. @throws KilnError where another push has the turn, or the store does not answer */
  confirm(): Promise<void>;
  /** Never rejects: a lease that can't be released expires. */
  leave(): Promise<void>;
}

/**
 * Resolves when it is this push's turn: all routers of a store deploy one push of a project at a time. Bounded by the signal.
 * @param onWait called once, if it has to wait
 * @throws KilnError `unavailable` while the store is away; the signal's reason
 */
export async function takeSharedTurn(store: PushTurnStore, project: string, signal: AbortSignal, onWait: () => void): Promise<SharedTurn> {
  const push = randomUUID();
  const renew = () => store.lease(project, push, LEASE_MS);
  for (let waits = false; ; waits = true) {
    signal.throwIfAborted();
    if (await renew()) break;
    if (!waits) onWait();
    await delay(RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
  // After a failed renewal, the next one may still come in time.
  const timer = setInterval(() => void renew().catch(() => undefined), RENEW_MS);
  return {
    confirm: async () => {
      if (await renew()) return;
      const why = `this push was silent for too long, and another one to "${project}" is under way`;
      throw new KilnError('conflict', why, { fix: 'push again', retryAfter: 10 });
    },
    leave: async () => {
      clearInterval(timer);
      await store.giveBack(project, push).catch(() => undefined);
    },
  };
}
