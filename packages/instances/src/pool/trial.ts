/** So long the first instance may be without an answer. */
const UNANSWERED_MS = 100;
/** Whatever it answers, others are started after so long. */
const LONGEST_MS = 1000;

/**
 * The time in which the first instance of a version, where it takes several requests at once, has those who wait to itself. Who came
 * during its start may be served sooner than another could be started. It is over when the instance answers nobody for a while.
 */
export class Trial {
  private ends = 0;
  private until = 0;

  constructor(private readonly now: () => number) {}

  /** ms that are left. */
  get remaining(): number {
    return Math.max(0, this.until - this.now());
  }

  begin(): void {
    this.ends = this.now() + LONGEST_MS;
    this.until = this.now() + UNANSWERED_MS;
  }

  /** A request was answered. */
  answered(now: number): void {
    if (now < this.until) this.until = Math.min(this.ends, now + UNANSWERED_MS);
  }
}
