import type { StartKind } from '@kiln/contract/wire/headers';
import type { Instance } from './instance.js';

/** How a request came to its instance, in ms. */
export interface Waited {
  start: StartKind;
  queueMs: number;
  startMs: number;
}

export const NOT_WAITED: Waited = { start: 'warm', queueMs: 0, startMs: 0 };

/** `since`: when the wait began, on the monotonic clock. */
export function waitedFor(instance: Instance, since: number): Waited {
  const ms = performance.now() - since;
  return instance.readyAt > since ? { start: 'cold', queueMs: 0, startMs: ms } : { start: 'warm', queueMs: ms, startMs: 0 };
}

/** The right to run one request in an instance. */
export class Lease {
  readonly since = performance.now();
  private released = false;

  constructor(
    readonly instance: Instance,
    readonly requestId: string,
    readonly waited: Waited,
    private readonly onRelease: (lease: Lease) => void,
  ) {
    instance.added(this);
  }

  /** Gives it back. Calling again does nothing. */
  release(): void {
    if (this.released) return;
    this.released = true;
    this.onRelease(this);
  }
}
