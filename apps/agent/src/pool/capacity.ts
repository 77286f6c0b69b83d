import type { Room } from './choose-victims.js';

/** A promise of memory and cpu. `release()` may be called more than once. */
export interface Reservation {
  release(): void;
}

/** What the node may promise to instances, and what it has. Never promises more than there is. */
export class Capacity {
  private readonly promised: Room = { memory: 0, cpu: 0 };
  private readonly watchers = new Set<() => void>();

  constructor(readonly total: Readonly<Room>) {}

  get memoryPromised(): number {
    return this.promised.memory;
  }

  get cpuPromised(): number {
    return this.promised.cpu;
  }

  /** What would have to be freed before `need` fits; zeros where it fits. */
  missing(need: Room): Room {
    return {
      memory: Math.max(0, this.promised.memory + need.memory - this.total.memory),
      // Cores are fractions: without rounding, sums like 0.1 + 0.2 would refuse what fits exactly.
      cpu: Math.max(0, round(this.promised.cpu + need.cpu - this.total.cpu)),
    };
  }

  /** Undefined where it does not fit. */
  reserve({ memory, cpu }: Room): Reservation | undefined {
    const missing = this.missing({ memory, cpu });
    if (missing.memory > 0 || missing.cpu > 0) return undefined;
    this.add(memory, cpu);
    let released = false;
    return {
      release: () => {
        if (released) return;
        released = true;
        this.add(-memory, -cpu);
        for (const watcher of [...this.watchers]) watcher();
      },
    };
  }

  /** Resolves at the next release, or after `timeoutMs`. */
  released(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.watchers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.watchers.add(done);
    });
  }

  private add(memory: number, cpu: number): void {
    this.promised.memory += memory;
    this.promised.cpu = round(this.promised.cpu + cpu);
  }
}

function round(cpu: number): number {
  return Math.round(cpu * 1e6) / 1e6;
}
