import { KilnError } from '@kiln/contract/errors';

/** A limited number of places in this router. One holder cannot take all of them. */
export class LimitedPlaces {
  private taken = 0;
  private readonly byHolder = new Map<string, number>();

  /** @param what the work, for the error: "uploads" @param places how many in all @param perHolder how many for one holder */
  constructor(
    private readonly what: string,
    private readonly places: number,
    private readonly perHolder: number,
  ) {}

  /** @returns a function that gives the place back; further calls do nothing. @throws KilnError `concurrency_limit` */
  take(holder: string): () => void {
    const own = this.byHolder.get(holder) ?? 0;
    if (this.taken >= this.places) throw this.full(`this router has ${this.places} ${this.what} under way already`);
    if (own >= this.perHolder) throw this.full(`this key has ${this.perHolder} ${this.what} under way at this router already`);
    this.taken++;
    this.byHolder.set(holder, own + 1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.taken--;
      const left = (this.byHolder.get(holder) ?? 1) - 1;
      if (left === 0) this.byHolder.delete(holder);
      else this.byHolder.set(holder, left);
    };
  }

  private full(message: string): KilnError {
    return new KilnError('concurrency_limit', message, { fix: 'try again shortly', retryAfter: 10 });
  }
}
