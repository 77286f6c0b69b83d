const NEWLINE = 10;

/** Longer lines are cut; the rest of such a line is dropped. Above what a runner writes for one `console` call of plain text. */
export const MAX_LINE_BYTES = 16 * 1024;
/** A line of no more than this is gathered in memory that is kept for the next one. */
const KEPT_BYTES = 512;

/** Makes lines of chunks, decoded whole: a character may be split. An unfinished line takes memory by its length, not by its pieces. */
export class LineAssembler {
  private buffer = Buffer.alloc(KEPT_BYTES);
  private kept = 0;
  /** Bytes of the line, those included that were not kept. */
  private size = 0;

  /** @param onLine false: no more lines of this chunk are wanted */
  constructor(private readonly onLine: (line: string, cut: boolean) => boolean) {}

  /** @returns lines that ended in it and were not wanted */
  push(chunk: Buffer): number {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      this.keep(chunk, from, end);
      from = end + 1;
      if (!this.flush()) return this.skip(chunk.subarray(from));
    }
    this.keep(chunk, from, chunk.length);
    return 0;
  }

  /** Drops what comes, and says how many lines ended in it; cheap, for when nobody can use the lines. */
  skip(chunk: Buffer): number {
    let ended = 0;
    // A search by the engine's own code costs more for each of many tiny lines than this does for a byte.
    for (let i = 0; i < chunk.length; i++) if (chunk[i] === NEWLINE) ended++;
    if (ended > 0) this.clear();
    return ended;
  }

  /** Ends a line that has no end yet. */
  end(): void {
    if (this.size > 0) this.flush();
  }

  private keep(chunk: Buffer, from: number, to: number): void {
    const wanted = Math.min(this.kept + to - from, MAX_LINE_BYTES);
    if (wanted > this.buffer.length) this.grow(wanted);
    this.kept += chunk.copy(this.buffer, this.kept, from, Math.min(to, from + wanted - this.kept));
    this.size += to - from;
  }

  private grow(wanted: number): void {
    const larger = Buffer.alloc(Math.min(MAX_LINE_BYTES, Math.max(wanted, 2 * this.buffer.length)));
    this.buffer.copy(larger, 0, 0, this.kept);
    this.buffer = larger;
  }

  private flush(): boolean {
    const line = this.buffer.toString('utf8', 0, this.kept);
    const cut = this.size > MAX_LINE_BYTES;
    this.clear();
    return this.onLine(line.endsWith('\r') ? line.slice(0, -1) : line, cut);
  }

  private clear(): void {
    if (this.buffer.length > KEPT_BYTES) this.buffer = Buffer.alloc(KEPT_BYTES);
    this.kept = 0;
    this.size = 0;
  }
}
