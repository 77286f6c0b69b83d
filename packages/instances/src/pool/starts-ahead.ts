import type { Census } from '../instance/instance.js';

/** Starts that nobody waits for must not keep those out for which somebody does. */
const AT_ONCE = 4;

/** Instances that are started ahead of their requests. It is given up where no more can be had: requests start what they need. */
export class StartsAhead {
  private target = 0;
  private end: (() => void) | undefined;

  get active(): boolean {
    return this.target > 0;
  }

  /** Resolves when so many serve, when no more can be had now, and after `limitMs`. */
  begin(target: number, limitMs: number): Promise<void> {
    this.stop();
    this.target = target;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.stop(), limitMs);
      this.end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** How many should serve, counting those that come next. */
  minimum(serving: number): number {
    return Math.min(this.target, serving + AT_ONCE);
  }

  /** After all that could be started was. */
  endIfReached({ serving, coming }: Census): void {
    if (serving >= this.target || coming === 0) this.stop();
  }

  stop(): void {
    this.target = 0;
    this.end?.();
    this.end = undefined;
  }
}
