import type { KilnError } from '@kiln/contract/errors';

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

  constructor(private readonly now: () => number) {}

  /** The last start failed and none has succeeded since. */
  get failing(): boolean {
    return this.failures > 0;
  }

  /** The error of the last failure while another try is too early. */
  get refusal(): KilnError | undefined {
    return this.now() < this.until ? this.last : undefined;
  }

  /** ms until the next try is allowed. */
  get remaining(): number {
    return Math.max(0, Math.max(this.until, this.refusedUntil) - this.now());
  }

  failed(error: KilnError): void {
    // Starts that ran side by side fail side by side: that is one failure.
    if (this.refusal === undefined) {
      this.until = this.now() + Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(this.failures, 10));
      this.failures++;
    }
    this.last = error;
  }

  /** There was no place for it: that says nothing of the version. */
  refused(): void {
    this.refusedUntil = this.now() + REFUSED_MS;
  }

  succeeded(): void {
    this.failures = 0;
    this.until = 0;
    this.last = undefined;
  }
}
