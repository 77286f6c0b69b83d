/** The stream to which a container writes. */
export type OutputStream = 'stdout' | 'stderr';

const HEADER = 8;

/** Splits the attach stream: frames of an 8-byte header (source, length) and bytes, which pass on as they come, never buffered. */
export class Demultiplexer {
  private readonly header = Buffer.alloc(HEADER);
  private headerBytes = 0;
  private left = 0;
  private source: OutputStream = 'stdout';

  constructor(private readonly onOutput: (source: OutputStream, chunk: Buffer) => void) {}

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.left > 0) {
        const part = chunk.subarray(at, at + this.left);
        this.onOutput(this.source, part);
        this.left -= part.length;
        at += part.length;
        continue;
      }
      const copied = chunk.copy(this.header, this.headerBytes, at, at + HEADER - this.headerBytes);
      this.headerBytes += copied;
      at += copied;
      if (this.headerBytes === HEADER) this.nextFrame();
    }
  }

  private nextFrame(): void {
    this.headerBytes = 0;
    this.source = this.header[0] === 2 ? 'stderr' : 'stdout';
    this.left = this.header.readUInt32BE(4);
  }
}
