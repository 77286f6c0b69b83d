/** Wrong keys that one caller may try at once. */
const BURST = 200;
/** One more after each. */
const REFILL_MS = 200;
/** Callers that are remembered; beyond that the one that tried first is forgotten. */
const MAX_CALLERS = 10_000;

interface Tries {
  left: number;
  /** When `left` was right, on the clock's time. */
  at: number;
}

/** Counts wrong API keys by caller, and refuses one that has no try left. Tries come back one by one. Each router counts for itself. */
export class WrongKeys {
  private readonly callers = new Map<string, Tries>();

  constructor(private readonly clock: () => number = () => performance.now()) {}

  /** Whether the caller has no try left. */
  exhausted(caller: string): boolean {
    if (this.callers.size === 0) return false;
    const tries = this.callers.get(caller);
    return tries !== undefined && this.leftOf(tries) < 1;
  }

  note(caller: string): void {
    const tries = this.callers.get(caller);
    const left = (tries === undefined ? BURST : this.leftOf(tries)) - 1;
    this.callers.delete(caller);
    this.callers.set(caller, { left, at: this.clock() });
    if (this.callers.size > MAX_CALLERS) this.callers.delete(this.callers.keys().next().value!);
  }

  private leftOf({ left, at }: Tries): number {
    return Math.min(BURST, left + (this.clock() - at) / REFILL_MS);
  }
}
