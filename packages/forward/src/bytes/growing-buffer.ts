const FIRST_BYTES = 256;
const NOTHING = Buffer.alloc(0);

/** Bytes that come in pieces, kept as one: each is copied a bounded number of times, however small the pieces are. */
export class GrowingBuffer {
  length = 0;
  private store: Buffer = NOTHING;

  /** @param end where in `piece` to stop */
  append(piece: Buffer, end = piece.length): void {
    const needed = this.length + end;
    if (needed > this.store.length) {
      const grown = Buffer.allocUnsafe(Math.max(FIRST_BYTES, 2 * this.store.length, needed));
      this.store.copy(grown, 0, 0, this.length);
      this.store = grown;
    }
    piece.copy(this.store, this.length, 0, end);
    this.length = needed;
  }

  /** All of them, not copied: good until the next `append`. */
  get bytes(): Buffer {
    return this.store.subarray(0, this.length);
  }

  clear(): void {
    this.store = NOTHING;
    this.length = 0;
  }
}
