import type { Room } from './choose-victims.js';

/** A promise of memory. `release()` may be called more than once. */
export interface Reservation {
  release(): void;
}

/**
 * What the node has for instances, and the memory that it has promised. Memory is a hard limit: an instance may use all of its own
 * at any moment, so never more is promised than there is. Cores are shared by time, so nothing is kept for anybody: see RoomMaker.
 */
export class Capacity {
  private promised = 0;
  /** After each release. */
  onRelease: () => void = () => undefined;

  constructor(readonly total: Readonly<Room>) {}

  get memoryPromised(): number {
    return this.promised;
  }

  /** What would have to be freed before `memory` fits. */
  missing(memory: number): number {
    return Math.max(0, this.promised + memory - this.total.memory);
  }

  /** Undefined where it does not fit. */
  reserve(memory: number): Reservation | undefined {
    if (this.missing(memory) > 0) return undefined;
    this.promised += memory;
    let released = false;
    return {
      release: () => {
        if (released) return;
        released = true;
        this.promised -= memory;
        this.onRelease();
      },
    };
  }
}
