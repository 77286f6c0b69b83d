/**
 * Runs a piece of work once at a time. Who asks gets a run that begins after the question, and all who ask while one is under
 * way share the next: so a flood of questions is at most one run after another.
 */
export class SingleFlight<T = void> {
  private running: Promise<T> | undefined;
  private next: Promise<T> | undefined;

  constructor(private readonly work: () => Promise<T>) {}

  run(): Promise<T> {
    if (this.running === undefined) return this.begin();
    this.next ??= this.running
      .catch(() => undefined) // Whoever asked for that run is told.
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
