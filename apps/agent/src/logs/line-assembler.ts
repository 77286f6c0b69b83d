const NEWLINE = 10;

/** Longer lines are cut; the rest of such a line is dropped. */
const MAX_LINE_BYTES = 8 * 1024;

/** Makes lines of chunks. Bytes are decoded a line at a time, so that a character split between chunks stays whole. */
export class LineAssembler {
  private parts: Buffer[] = [];
  private size = 0;

  constructor(private readonly onLine: (line: string, cut: boolean) => void) {}

  push(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      this.keep(chunk.subarray(from, end));
      this.flush();
      from = end + 1;
    }
    if (from < chunk.length) this.keep(chunk.subarray(from));
  }

  /** Drops what comes, and says how many lines ended in it; cheap, for when nobody can use the lines. */
  skip(chunk: Buffer): number {
    let ended = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, end + 1)) ended++;
    if (ended > 0) {
      this.parts = [];
      this.size = 0;
    }
    return ended;
  }

  /** Ends a line that has no end yet. */
  end(): void {
    if (this.size > 0) this.flush();
  }

  private keep(part: Buffer): void {
    const room = MAX_LINE_BYTES - Math.min(this.size, MAX_LINE_BYTES);
    // A copy: the chunk around a short part must not be kept alive by it.
    if (room > 0 && part.length > 0) this.parts.push(Buffer.from(part.subarray(0, room)));
    this.size += part.length;
  }

  private flush(): void {
    const whole = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts);
    const cut = this.size > MAX_LINE_BYTES;
    this.parts = [];
    this.size = 0;
    const line = whole.toString('utf8');
    this.onLine(line.endsWith('\r') ? line.slice(0, -1) : line, cut);
  }
}
