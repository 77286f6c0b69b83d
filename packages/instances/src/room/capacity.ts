import type { Room } from './choose-victims.js';

/**
 * What the node has for instances, and the memory that it has promised. Memory is a hard limit: an instance may use all of its own
 * at any moment, so never more is promised than there is. Cores are shared by time, so nothing is kept for anybody: see RoomMaker.
 */
export class Capacity {
  /** Only `reserve` and what it returns write it. */
  memoryPromised = 0;

  constructor(readonly total: Readonly<Room>) {}

  /** What would have to be freed before `memory` fits. */
  missing(memory: number): number {
    return Math.max(0, this.memoryPromised + memory - this.total.memory);
  }

  /** Returns what gives the memory back, which may be called more than once; undefined where it does not fit. */
  reserve(memory: number): (() => void) | undefined {
    if (this.missing(memory) > 0) return undefined;
    this.memoryPromised += memory;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.memoryPromised -= memory;
    };
  }
}
