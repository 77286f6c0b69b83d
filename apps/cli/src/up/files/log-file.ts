import { closeSync, copyFileSync, openSync, readSync, statSync, truncateSync } from 'node:fs';

const MAX_BYTES = 8 * 1024 * 1024;
const TAIL_BYTES = 8 * 1024;
const TAIL_LINES = 15;

/**
 * A child's output. The child writes to the file itself, so that its lines outlive this process; the file is opened to
 * append, so that it can be emptied under the child's hands. Two files of at most about 8 MiB are kept.
 */
export class LogFile {
  private from = 0;

  constructor(readonly path: string) {}

  /** A handle for the next process that writes here; what `tail` shows begins now. */
  open(): number {
    this.rotate();
    const handle = openSync(this.path, 'a', 0o600);
    this.from = this.size;
    return handle;
  }

  /** Lines written between copy and truncation are lost: the price of not standing between a child and its log. */
  rotate(): void {
    if (this.size < MAX_BYTES) return;
    copyFileSync(this.path, `${this.path}.1`);
    truncateSync(this.path, 0);
    this.from = 0;
  }

  /** The last lines of the newest process. */
  tail(): string {
    const size = this.size;
    const start = Math.max(this.from, size - TAIL_BYTES);
    if (size <= start) return '';
    const buffer = Buffer.alloc(size - start);
    const handle = openSync(this.path, 'r');
    try {
      readSync(handle, buffer, 0, buffer.length, start);
    } finally {
      closeSync(handle);
    }
    return buffer.toString('utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  }

  get size(): number {
    return statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
  }
}
