import type { KilnError } from '@kiln/contract/errors';
import { Members } from '@kiln/forward/members';
import type { Lease } from '../instance/instance.js';

/** A waiter's bound beyond `startTimeout`, for what comes before the start itself: an image, a slot, room, the gate. */
export const WAIT_MARGIN_MS = 5000;

/** One request that waits for a lease. */
export interface Waiter {
  readonly requestId: string;
  /** On the monotonic clock. */
  readonly since: number;
  resolve(lease: Lease): void;
  reject(error: KilnError): void;
}

/** What a caller holds of its place. */
export interface Waiting {
  readonly lease: Promise<Lease>;
  /** Gives the place up. Where the lease has come already it must be released by whoever awaited it. */
  cancel(): void;
}

/** First come, first served; nobody waits past the deadline. */
export class WaitQueue {
  /** A field, since every call that ends looks at it; only `add` and what it returns write it. */
  size = 0;
  private readonly waiters = new Members<Waiter>();

  /** `expired` makes the error of one who waited `timeoutMs` in vain. */
  add(requestId: string, timeoutMs: number, expired: () => KilnError): Waiting {
    const { promise, resolve, reject } = Promise.withResolvers<Lease>();
    const leave = () => {
      clearTimeout(timer);
      leaveQueue();
      this.size = this.waiters.size;
    };
    const waiter: Waiter = {
      requestId,
      since: performance.now(),
      resolve: (lease) => {
        leave();
        resolve(lease);
      },
      reject: (error) => {
        leave();
        reject(error);
      },
    };
    const timer = setTimeout(() => waiter.reject(expired()), timeoutMs);
    const leaveQueue = this.waiters.add(waiter);
    this.size = this.waiters.size;
    return { lease: promise, cancel: leave };
  }

  first(): Waiter | undefined {
    for (const waiter of this.waiters) return waiter;
    return undefined;
  }

  /** Refuses those who came last until `size` are left. */
  trim(size: number, error: () => KilnError): void {
    if (this.size <= size) return;
    for (const waiter of [...this.waiters].slice(Math.max(0, size))) waiter.reject(error());
  }
}
