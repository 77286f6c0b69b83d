/** Lets so many starts run at once, first come first served: beyond it an engine only gets slower. */
export class StartGate {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly width: number) {}

  /** Resolves with the way out, to be called once the start has ended. */
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
