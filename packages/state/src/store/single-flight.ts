/** Runs work once at a time. A call of `run` gets a run that begins after it. All calls during a run share the next one. */
export class SingleFlight<T = void> {
  private running: Promise<T> | undefined;
  private next: Promise<T> | undefined;

  constructor(private readonly work: () => Promise<T>) {}

  run(): Promise<T> {
    if (this.running === undefined) return this.begin();
    this.next ??= this.running
      .catch(() => undefined) // Its own callers get this error.
      .then(() => {
        this.next = undefined;
        return this.begin();
      });
    return this.next;
  }

  private begin(): Promise<T> {
    const run = this.work().finally(() => {
      this.running = undefined;
    });
    this.running = run;
    return run;
  }
}

/** Runs a piece of work every so often, never twice at a time. It keeps no process alive. Gives the function that ends it. */
export function repeat(everyMs: number, work: () => Promise<void>): () => void {
  let running = false;
  const timer = setInterval(() => {
    if (running) return;
    running = true;
    void work().finally(() => {
      running = false;
    });
  }, everyMs).unref();
  return () => clearInterval(timer);
}
