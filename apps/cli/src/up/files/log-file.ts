import { closeSync, copyFileSync, openSync, readSync, statSync, truncateSync } from 'node:fs';

const MAX_BYTES = 8 * 1024 * 1024;
const TAIL_BYTES = 8 * 1024;
const TAIL_LINES = 15;

/**
 * The log of a child process. The child writes to the file directly, so that its lines survive this process. The file is open for
 * appending, so that it can be truncated while the child writes. Keeps two files of about 8 MiB at most.
 */
export class LogFile {
  private from = 0;

  constructor(readonly path: string) {}

  /** Opens the log for the next process. `tail` shows only lines from now on. */
  open(): number {
    this.rotate();
    const handle = openSync(this.path, 'a', 0o600);
    this.from = this.size;
    return handle;
  }

  /** Copies and truncates a large log. Loses lines that the child writes between the two steps. */
  rotate(): void {
    if (this.size < MAX_BYTES) return;
    copyFileSync(this.path, `${this.path}.1`);
    truncateSync(this.path, 0);
    this.from = 0;
  }

  /** The last lines of the latest process. */
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
