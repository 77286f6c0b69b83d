import type { Exchange } from '@kiln/forward/exchange/forward';
import type { Downstream } from '@kiln/forward/server/downstream';

/** The reason of an abort because the function did not answer in its time. */
export const TIMEOUT = 'timeout';
/** The caller left, and the work did not end in the grace that it is then given. */
export const LEFT = 'the caller left';
/** A caller that reads nothing of its answer for so long, or for twice as long at most, is given up. */
const STALLED_MS = 20_000;

/**
 * What ends an exchange from outside: its time, and a caller that does not read. An answer that the caller holds back is the caller's
 * fault: then its connection ends, as if it had left, and nothing is held against the instance. One timer for each request.
 */
export class TimeLimit {
  exchange: Exchange | undefined;
  /** Its time is over. */
  late = false;
  private timer: NodeJS.Timeout | undefined;
  private grace: NodeJS.Timeout | undefined;
  private graceMs: number | undefined;
  private written = 0;
  private readonly ends: number;

  constructor(
    private readonly downstream: Downstream,
    since: number,
    timeout: number,
  ) {
    this.ends = since + timeout;
    this.timer = setTimeout(this.onTime, Math.min(timeout, STALLED_MS));
  }

  /** Where the caller leaves, the exchange may go on for `graceMs`; then it is aborted as `LEFT`. */
  graceAfterLeaving(graceMs: number): void {
    if (this.graceMs !== undefined) return;
    this.graceMs = graceMs;
    this.downstream.onGone(this.onLeft);
  }

  /** ms that the work may still take. */
  get left(): number {
    return this.ends - performance.now();
  }

  clear(): void {
    clearTimeout(this.timer);
    clearTimeout(this.grace);
    if (this.graceMs !== undefined) this.downstream.offGone(this.onLeft);
  }

  private readonly onLeft = (): void => {
    this.grace = setTimeout(() => this.exchange?.abort(LEFT), this.graceMs);
  };

  private readonly onTime = (): void => {
    const { left, downstream } = this;
    const { heldBack } = downstream;
    // Timers may fire a little early.
    if (left <= 1) {
      this.late = true;
      if (heldBack) downstream.destroy();
      else this.exchange?.abort(TIMEOUT);
      return;
    }
    const written = heldBack ? downstream.bytesTaken : 0;
    if (heldBack && written === this.written) {
      downstream.destroy();
      return;
    }
    this.written = written;
    this.timer = setTimeout(this.onTime, Math.min(left, STALLED_MS));
  };
}
