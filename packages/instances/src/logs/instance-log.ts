import type { LogRecord } from '@kiln/contract/records/records';
import type { OutputSource } from '../port/container-driver.js';
import { LineAssembler, MAX_LINE_BYTES } from './line-assembler.js';
import { type ReadLine, readRunnerLine } from './runner-line.js';
import { TokenBucket } from './token-bucket.js';

const LAST_LINES = 20;
/** Of each of them; every instance keeps them. */
const LAST_LINE_CHARACTERS = 1000;
/** So many lines of a chunk are looked at although they are dropped: the last words of a process that dies are among them. */
const DROPPED_AND_READ = 50;
const LINES_PER_SECOND = 500;
const LINES_AT_ONCE = 2000;
const BYTES_PER_SECOND = 1024 * 1024;
const BYTES_AT_ONCE = 2 * 1024 * 1024;
const REPORT_MS = 1000;
/** Once a source is over its allowance its lines are only counted for this long, which costs next to nothing. */
const MUTE_MS = 100;

/** Whose lines these are. */
export interface LogOrigin extends Pick<LogRecord, 'function' | 'version' | 'node' | 'instance'> {
  /** The request that raw output belongs to, where there is no doubt. */
  requestOfOutput(): string | undefined;
}

/** The output of one instance as log records. Beyond the allowance lines are dropped and counted: a flood costs nobody else anything. */
export class InstanceLog {
  private readonly lines = new TokenBucket(LINES_PER_SECOND, LINES_AT_ONCE);
  private readonly bytes = new TokenBucket(BYTES_PER_SECOND, BYTES_AT_ONCE);
  private readonly sources: Record<OutputSource, LineAssembler>;
  /** What was written last, oldest first. */
  readonly lastLines: string[] = [];
  private readonly mutedUntil: Record<OutputSource, number> = { stdout: 0, stderr: 0 };
  private dropped = 0;
  private droppedOfChunk = 0;
  private report: NodeJS.Timeout | undefined;

  constructor(
    private readonly origin: LogOrigin,
    private readonly emit: (record: LogRecord) => void,
  ) {
    this.sources = {
      stdout: new LineAssembler((line, cut) => this.onLine(line, cut, 'info')),
      stderr: new LineAssembler((line, cut) => this.onLine(line, cut, 'error')),
    };
  }

  write(source: OutputSource, chunk: Buffer): void {
    const now = performance.now();
    if (now < this.mutedUntil[source]) {
      this.drop(this.sources[source].skip(chunk));
      return;
    }
    const before = this.dropped;
    this.droppedOfChunk = 0;
    const skipped = this.sources[source].push(chunk);
    if (skipped > 0) this.drop(skipped);
    if (this.dropped > before) this.mutedUntil[source] = now + MUTE_MS;
  }

  /** No more output will come. */
  end(): void {
    this.sources.stdout.end();
    this.sources.stderr.end();
    this.sayDropped();
  }

  /** A line of the platform's own, beside what the instance writes. */
  note(level: 'warn' | 'error', message: string): void {
    this.send({ level, message });
  }

  /** @returns whether more lines of this chunk are wanted */
  private onLine(line: string, cut: boolean, level: 'info' | 'error'): boolean {
    const read = readRunnerLine(line, cut) ?? { level, message: line, requestId: this.origin.requestOfOutput() };
    const message = cut ? `${read.message} … (line cut after ${MAX_LINE_BYTES / 1024} KiB)` : read.message;
    this.keepLast(message);
    // By the line, not by the message in it: that is what reading it cost.
    if (this.bytes.take(line.length) && this.lines.take(1)) {
      this.send({ ...read, message });
      return true;
    }
    this.drop(1);
    this.droppedOfChunk++;
    return this.droppedOfChunk < DROPPED_AND_READ;
  }

  private keepLast(message: string): void {
    // A slice would keep the whole line in memory: a copy.
    const kept = message.length > LAST_LINE_CHARACTERS ? Buffer.from(message.slice(0, LAST_LINE_CHARACTERS)).toString() : message;
    this.lastLines.push(kept);
    if (this.lastLines.length > LAST_LINES) this.lastLines.shift();
  }

  private drop(lines: number): void {
    this.dropped += lines;
    this.report ??= setTimeout(() => this.sayDropped(), REPORT_MS);
  }

  private sayDropped(): void {
    clearTimeout(this.report);
    this.report = undefined;
    if (this.dropped === 0) return;
    this.note('warn', `kiln: ${this.dropped} log lines dropped: more than ${LINES_PER_SECOND} lines or 1 MiB a second`);
    this.dropped = 0;
  }

  private send(line: ReadLine): void {
    const { function: name, version, node, instance } = this.origin;
    this.emit({ time: new Date().toISOString(), function: name, version, node, instance, ...line });
  }
}
