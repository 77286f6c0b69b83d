/** Before a version has ever started here. */
const FIRST_GUESS_MS = 500;
/** A start that is due later than this is not waited for. */
const SOON_MS = 500;
/** A start may be so much later than usual: several at once take longer than one. */
const LATE_MS = 700;

/**
 * Whether a request whose own instance is on its way should still take another one that became free. Early on it should: that is
 * quicker. Shortly before its own is ready it should not: the instance would be made for nothing, and simultaneous calls would
 * run one behind the other instead of each in its own.
 */
export class StartForecast {
  private usualMs = FIRST_GUESS_MS;

  /** A start of this version took so long. */
  took(ms: number): void {
    this.usualMs = ms;
  }

  /** How much longer a request that has waited for `waitedMs` waits for its own instance; 0 where it takes another at once. */
  worthWaiting(waitedMs: number): number {
    const early = waitedMs < this.usualMs / 3 || waitedMs < this.usualMs - SOON_MS;
    return early ? 0 : Math.max(0, this.usualMs + LATE_MS - waitedMs);
  }
}
