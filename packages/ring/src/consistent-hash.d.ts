declare module 'consistent-hash' {
  /** The part of the library that the ring uses; it ships no types of its own. */
  class ConsistentHash {
    constructor(options?: { range?: number });
    add(node: string, count: number, points: readonly number[]): this;
    /** The first `count` distinct nodes clockwise from the name; null for an empty ring. */
    get(name: string, count: number): string[] | null;
  }
  export = ConsistentHash;
}
