/** Lets so many through at once, first come first served: beyond some number an engine only gets slower. */
export class Gate {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly width: number) {}

  /** Resolves with the way out, to be called at the end. */
  async enter(): Promise<() => void> {
    if (this.running >= this.width) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.running++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.waiting.shift();
      // The place is handed over as it is, so that nobody can slip in between.
      if (next === undefined) this.running--;
      else next();
    };
  }
}
