import type { KilnError } from '@kiln/contract/errors';
import type { Refusal } from '../port/refusal.js';

const FIRST_MS = 1000;
const LONGEST_MS = 60_000;
/** After a start that found no room the next one, while somebody waits who can wait. */
const REFUSED_MS = 250;

/** Keeps a version that can't start from being tried again and again: 1 s after the first failure, doubling to 60 s. */
export class StartBackoff {
  private failures = 0;
  private until = 0;
  /** No start before then, whatever happens meanwhile. */
  private refusedUntil = 0;
  private last: KilnError | undefined;
  /** Why there was no place, where that was so the last time. */
  refused: Refusal | undefined;

  constructor(private readonly now: () => number) {}

  /** The last start failed and none has succeeded since. */
  get failing(): boolean {
    return this.failures > 0;
  }

  /** What another try would end with, while it is too early for one. */
  get refusal(): KilnError | undefined {
    if (this.now() < this.until) return this.last;
    return this.now() < this.refusedUntil && this.refused?.passing === false ? this.refused : undefined;
  }

  /** ms until the next try is allowed. */
  get remaining(): number {
    return Math.max(0, Math.max(this.until, this.refusedUntil) - this.now());
  }

  failed(error: KilnError): void {
    // Starts that ran side by side fail side by side: that is one failure.
    if (this.now() >= this.until) {
      this.until = this.now() + Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(this.failures, 10));
      this.failures++;
    }
    this.last = error;
    this.refused = undefined;
  }

  /** There was no place for it: that says nothing of the version. */
  refuse(refusal: Refusal): void {
    this.refusedUntil = this.now() + REFUSED_MS;
    this.refused = refusal;
  }

  succeeded(): void {
    this.failures = 0;
    this.until = 0;
    this.last = undefined;
    this.refused = undefined;
  }
}
