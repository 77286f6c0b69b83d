import { GrowingBuffer } from '../bytes/growing-buffer.js';

/** What a chunk costs beside its bytes counts for one that is smaller. */
const SMALL_BYTES = 1024;

/** Chunks of a body, small ones joined: a sender of single bytes makes thousands, each of which takes some hundred bytes of memory. */
export class KeptChunks {
  private chunks: Buffer[] | undefined;
  private small: GrowingBuffer | undefined;

  add(chunk: Buffer): void {
    if (this.chunks === undefined) {
      this.chunks = [chunk];
    } else if (chunk.length < SMALL_BYTES) {
      this.small ??= new GrowingBuffer();
      this.small.append(chunk);
    } else {
      this.list().push(chunk);
    }
  }

  /** All that came so far, in order. */
  list(): Buffer[] {
    this.chunks ??= [];
    if (this.small !== undefined) this.chunks.push(this.small.bytes);
    this.small = undefined;
    return this.chunks;
  }
}
