import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { PushTurnStore } from '@kiln/state/push-turn-store';

/** A router that is gone holds the others up for no longer. */
const LEASE_MS = 10_000;
const KEEP_EVERY_MS = 3000;
const LOOK_EVERY_MS = 300;

/** The turns of pushes among routers: of all that share the store, one push of a project is deployed at a time. */
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
      await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** Kept as long as this process lives, and reaches the store. */
export class SharedTurn {
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly store: PushTurnStore,
    private readonly project: string,
    private readonly push: string,
  ) {
    // Where it does not get through once, the next one may still come in time.
    this.timer = setInterval(() => void this.keep().catch(() => undefined), KEEP_EVERY_MS);
  }

  /** Before anything moves. @throws KilnError where another push has the turn by now, or the store does not say */
  async confirm(): Promise<void> {
    if (await this.keep()) return;
    const why = `this push was silent for too long, and another one to "${this.project}" is under way`;
    throw new KilnError('conflict', why, { fix: 'push again', retryAfter: 10 });
  }

  /** Never rejects: a turn that can't be given back runs out. */
  async leave(): Promise<void> {
    clearInterval(this.timer);
    await this.store.giveBack(this.project, this.push).catch(() => undefined);
  }

  private keep(): Promise<boolean> {
    return this.store.lease(this.project, this.push, LEASE_MS);
  }
}
