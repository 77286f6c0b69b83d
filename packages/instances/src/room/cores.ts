import { cpus } from 'node:os';

const WINDOW_MS = 100;
/** Of busy cores, at most. */
const IDLE_SHARE = 0.05;

interface Ticks {
  idle: number;
  all: number;
}

/** How much of the machine's cores its programs use. */
export class Cores {
  private last: Ticks;
  private until = 0;
  private current = false;

  constructor(
    private readonly read: () => Ticks = ticks,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.last = read();
  }

  /** Nearly all was used since the last look, which is at least 100 ms ago. */
  get busy(): boolean {
    if (this.now() < this.until) return this.current;
    this.until = this.now() + WINDOW_MS;
    const { idle, all } = this.read();
    const passed = all - this.last.all;
    // Where the system says nothing of its cores, nothing is known against them.
    this.current = passed > 0 && idle - this.last.idle <= passed * IDLE_SHARE;
    this.last = { idle, all };
    return this.current;
  }
}

function ticks(): Ticks {
  const sum = { idle: 0, all: 0 };
  for (const { times } of cpus()) {
    sum.idle += times.idle;
    sum.all += times.user + times.nice + times.sys + times.idle + times.irq;
  }
  return sum;
}
