import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { PushTurnStore } from '@kiln/state/push-turn-store';

/** A dead router blocks the others for no longer. */
const LEASE_MS = 10_000;
const RENEW_MS = 3000;
const RETRY_MS = 300;

/** Turns of pushes among routers: all routers of a store deploy one push of a project at a time. */
export class SharedTurns {
  constructor(private readonly store: PushTurnStore) {}

  /**
   * Resolves when it is this push's turn. Bounded by the signal.
   * @param onWait called once, if it has to wait
   * @throws KilnError `unavailable` while the store is away; the signal's reason
   */
  async enter(project: string, signal: AbortSignal, onWait: () => void): Promise<SharedTurn> {
    const push = randomUUID();
    for (let waits = false; ; waits = true) {
      signal.throwIfAborted();
      if (await this.store.lease(project, push, LEASE_MS)) return new SharedTurn(this.store, project, push);
      if (!waits) onWait();
      await delay(RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** A lease in the store, renewed as long as this process lives and reaches the store. */
export class SharedTurn {
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly store: PushTurnStore,
    private readonly project: string,
    private readonly push: string,
  ) {
    // After a failed renewal, the next one may still come in time.
    this.timer = setInterval(() => void this.renew().catch(() => undefined), RENEW_MS);
  }

  /** To be called before main or traffic moves. @throws KilnError where another push has the turn, or the store does not answer */
  async confirm(): Promise<void> {
    if (await this.renew()) return;
    const why = `this push was silent for too long, and another one to "${this.project}" is under way`;
    throw new KilnError('conflict', why, { fix: 'push again', retryAfter: 10 });
  }

  /** Never rejects: a lease that can't be released expires. */
  async leave(): Promise<void> {
    clearInterval(this.timer);
    await this.store.giveBack(this.project, this.push).catch(() => undefined);
  }

  private renew(): Promise<boolean> {
    return this.store.lease(this.project, this.push, LEASE_MS);
  }
}
