/** What a process has done so far. */
export interface Work {
  /** ms of processor time; 0 where this system does not tell. */
  cpuMs: number;
  /** Bytes that it wrote to its log. */
  logged: number;
}

/** Processes that wait for something use a little time, too: this share of the time that has passed is work. */
const WORKING_SHARE = 0.1;
/** Work or not, nobody waits longer than so many bounds. */
const CEILING = 10;

/** A bound that follows progress: it counts from the last moment at which somebody worked. */
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

  /** Tells what one that is waited for has done until now. */
  saw(name: string, work: Work): void {
    const mark = this.marks.get(name);
    const now = this.now();
    const worked =
      mark !== undefined && (work.logged !== mark.logged || work.cpuMs - mark.cpuMs > WORKING_SHARE * Math.max(1, now - this.workedAt));
    if (worked) this.workedAt = now;
    if (mark === undefined || worked) this.marks.set(name, work);
  }
}
