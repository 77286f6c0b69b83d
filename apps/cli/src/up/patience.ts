/** The work of a process so far. */
export interface Work {
  /** Processor time in ms. */
  cpuMs: number;
  /** Bytes in its log. */
  logged: number;
}

/** A waiting process uses a little processor time too. Above this share of the elapsed time it counts as working. */
const WORKING_SHARE = 0.1;
/** The longest wait in all, as a multiple of the bound. */
const CEILING = 10;

/** A time limit that each progress extends: it counts from the last moment at which a process worked. */
export class Patience {
  private readonly began: number;
  private workedAt: number;
  private readonly marks = new Map<string, Work>();

  constructor(
    private readonly boundMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.began = this.workedAt = now();
  }

  get isOver(): boolean {
    const now = this.now();
    return now - this.workedAt > this.boundMs || now - this.began > CEILING * this.boundMs;
  }

  /** Records the work of a process so far. */
  saw(name: string, work: Work): void {
    const mark = this.marks.get(name);
    const now = this.now();
    const worked =
      mark !== undefined && (work.logged !== mark.logged || work.cpuMs - mark.cpuMs > WORKING_SHARE * Math.max(1, now - this.workedAt));
    if (worked) this.workedAt = now;
    if (mark === undefined || worked) this.marks.set(name, work);
  }
}
