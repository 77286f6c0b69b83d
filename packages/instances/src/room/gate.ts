import type { Cores } from './cores.js';

/**
 * Lets so many through at once: beyond some number an engine only gets slower. While the cores have no time left it is one at a time,
 * for starts would take that time from instances that serve. A place that becomes free goes to the function that holds fewest, among
 * equals to the one whose turn is longest ago. So nobody holds more than half of the places while others wait, and one start waits for
 * one of each other function at most. Whoever is let in must leave within a bound of its own.
 */
export class Gate {
  private readonly inside = new Map<string, number>();
  /** In the order of turns. */
  private readonly waiting = new Map<string, (() => void)[]>();
  private running = 0;

  constructor(
    readonly width: number,
    private readonly cores: Pick<Cores, 'busy'> = { busy: false },
  ) {}

  /** Resolves with the way out, to be called at the end. `of`: the function that wants in. */
  async enter(of = ''): Promise<() => void> {
    if (this.hasRoom) this.take(of);
    else await new Promise<void>((resolve) => this.queueOf(of).push(resolve));
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.leave(of);
    };
  }

  private take(of: string): void {
    this.running++;
    this.inside.set(of, this.held(of) + 1);
  }

  private leave(of: string): void {
    this.running--;
    if (this.held(of) > 1) this.inside.set(of, this.held(of) - 1);
    else this.inside.delete(of);
    this.turnIsOver(of);
    for (let next = this.next(); next !== undefined && this.hasRoom; next = this.next()) {
      // The place is taken before anybody else runs, so that nobody can slip in between.
      this.take(next);
      const enter = this.queueOf(next).shift();
      this.turnIsOver(next);
      enter?.();
    }
  }

  private get hasRoom(): boolean {
    return this.running < (this.cores.busy ? 1 : this.width);
  }

  /** It comes last among those who wait. */
  private turnIsOver(of: string): void {
    const queue = this.waiting.get(of);
    if (queue === undefined) return;
    this.waiting.delete(of);
    if (queue.length > 0) this.waiting.set(of, queue);
  }

  private next(): string | undefined {
    let next: string | undefined;
    for (const of of this.waiting.keys()) if (next === undefined || this.held(of) < this.held(next)) next = of;
    return next;
  }

  private queueOf(of: string): (() => void)[] {
    let queue = this.waiting.get(of);
    if (queue === undefined) {
      queue = [];
      this.waiting.set(of, queue);
    }
    return queue;
  }

  private held(of: string): number {
    return this.inside.get(of) ?? 0;
  }
}
