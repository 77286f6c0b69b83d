import { Readable } from 'node:stream';
import { countPassing } from '../bytes/passing-bytes.js';
import { KeptChunks } from './kept-chunks.js';

/** What is kept of a body, so that it can be sent a second time. */
export const KEPT_BYTES = 64 * 1024;
/** A caller that sends nothing for so long, while somebody waits for its body, is given up. */
const SILENCE_MS = 30_000;
/** What nobody wants is read and dropped for so long, and for so long without a byte. */
const DISCARD_MS = 30_000;
const DISCARD_SILENCE_MS = 5_000;
const DISCARD_BYTES = 256 * 1024 * 1024;

/** Why a body did not come whole. */
export type BodyFault = 'too_large' | 'gone' | 'slow';

/** What a body is read from: the message of an HTTP server, or whatever else gives bytes. */
interface BodySource extends Readable {
  /** Whether all of it has come, read or not; where that is not said, it has once it was read to its end. */
  readonly complete?: boolean;
}

/** The body of one request, for whoever sends it on. */
export interface RequestBody {
  /** Declared bytes; undefined where the sender did not say. */
  readonly length: number | undefined;
  readonly fault: BodyFault | undefined;
  /** Bytes that came so far. */
  readonly bytes: number;
  /** True while all that came is still at hand, so that another attempt would send the same bytes. */
  readonly replayable: boolean;
  /** True where the whole body is at hand. */
  readonly whole: boolean;
  /** Reads all of it; only for bodies that are declared to fit into what is kept. Undefined: it came whole. */
  readWhole(timeoutMs: number): Promise<BodyFault | undefined>;
  /** Begins to listen, and waits for what came in one segment with the head: a body that is broken there never gets on its way. */
  firstSegment(): Promise<BodyFault | undefined>;
  /** Whoever runs the request has it for good: stream on, whatever the size. */
  accepted(): void;
  /** The body from its start, for one attempt. Ask only while it is replayable. */
  source(): Buffer | Readable | null;
  /** Nobody wants the rest: it is read and dropped, within bounds, so that no reset overtakes the answer and the connection may go on. */
  discard(): void;
}

/**
 * A body that is read only while somebody wants it, up to `maxBody`. Its first 64 KiB are kept, to be sent again; beyond them it is held
 * back until `accepted()`, which drops the copy: nothing can be sent twice by mistake.
 */
export class StreamedBody<S extends BodySource> implements RequestBody {
  fault: BodyFault | undefined;
  bytes = 0;
  private kept: KeptChunks | undefined = new KeptChunks();
  private held: Buffer | undefined;
  private isAccepted = false;
  private started = false;
  private ended = false;
  private reader: BodyStream | undefined;
  private finished: (() => void) | undefined;
  private silence: NodeJS.Timeout | undefined;
  private bytesAtTick = 0;

  /** @param giveUp ends whoever sends on what nobody wants */
  constructor(
    private readonly message: S,
    readonly length: number | undefined,
    private readonly maxBody: number,
    private readonly giveUp: (message: S) => void,
  ) {}

  get replayable(): boolean {
    return this.kept !== undefined && this.fault === undefined;
  }

  get whole(): boolean {
    return this.ended && this.replayable;
  }

  async readWhole(timeoutMs: number): Promise<BodyFault | undefined> {
    if (this.ended || this.fault !== undefined) return this.fault;
    const timer = setTimeout(() => this.fail('slow'), timeoutMs);
    await new Promise<void>((resolve) => {
      this.finished = resolve;
      this.start();
      this.message.resume();
    });
    clearTimeout(timer);
    return this.fault;
  }

  async firstSegment(): Promise<BodyFault | undefined> {
    this.start();
    await undefined;
    return this.fault;
  }

  accepted(): void {
    if (this.isAccepted) return;
    this.isAccepted = true;
    if (this.held === undefined) return;
    const { held } = this;
    this.held = undefined;
    this.kept = undefined;
    if (this.reader === undefined || this.reader.push(held)) this.message.resume();
  }

  source(): Buffer | Readable | null {
    const kept = this.kept?.list() ?? [];
    if (this.ended && this.kept !== undefined) return kept.length === 1 ? kept[0]! : Buffer.concat(kept);
    this.reader = new BodyStream(this, kept);
    this.start();
    return this.reader;
  }

  discard(): void {
    clearInterval(this.silence);
    const { message } = this;
    this.kept = undefined;
    this.held = undefined;
    if (this.ended || (message.complete ?? message.readableEnded) || message.destroyed) return;
    let dropped = 0;
    const until = performance.now() + DISCARD_MS;
    const silence = setTimeout(() => this.giveUp(message), DISCARD_SILENCE_MS).unref();
    message.removeAllListeners('data');
    message.on('data', (chunk: Buffer) => {
      dropped += chunk.length;
      if (dropped > DISCARD_BYTES || performance.now() > until) this.giveUp(message);
      else silence.refresh();
    });
    message.once('close', () => clearTimeout(silence)).once('end', () => clearTimeout(silence));
    message.resume();
  }

  /** @internal */
  pull(): void {
    if (this.held === undefined && !this.ended) this.message.resume();
  }

  /** @internal */
  left(reader: BodyStream): void {
    if (this.reader !== reader) return;
    this.reader = undefined;
    if (!this.ended) this.message.pause();
  }

  private start(): void {
    if (this.started) return;
    this.started = true;
    const { message } = this;
    message.on('data', (chunk: Buffer) => this.onData(chunk));
    message.on('end', () => this.onEnd());
    message.on('error', () => this.fail('gone'));
    message.on('close', () => this.fail('gone'));
    this.silence = setInterval(() => this.onTick(), SILENCE_MS);
    this.silence.unref();
  }

  private onData(chunk: Buffer): void {
    this.bytes += chunk.length;
    countPassing(chunk.length);
    if (this.bytes > this.maxBody) {
      this.fail('too_large');
      return;
    }
    if (this.kept !== undefined && this.bytes > KEPT_BYTES) {
      if (!this.isAccepted) {
        this.held = chunk;
        this.message.pause();
        return;
      }
      this.kept = undefined;
    }
    this.kept?.add(chunk);
    if (this.reader !== undefined && !this.reader.push(chunk)) this.message.pause();
  }

  private onEnd(): void {
    this.ended = true;
    clearInterval(this.silence);
    this.reader?.push(null);
    this.finished?.();
  }

  private onTick(): void {
    if (this.bytes === this.bytesAtTick && !this.message.isPaused()) this.fail('slow');
    this.bytesAtTick = this.bytes;
  }

  private fail(fault: BodyFault): void {
    if (this.ended || this.fault !== undefined) return;
    this.fault = fault;
    this.kept = undefined;
    this.held = undefined;
    clearInterval(this.silence);
    this.message.pause();
    this.reader?.destroy(new BodyError(fault));
    this.finished?.();
  }
}

/** What an attempt sees of a body that did not come whole. */
export class BodyError extends Error {
  constructor(readonly fault: BodyFault) {
    super(`the request body did not come whole: ${fault}`);
  }
}

class BodyStream extends Readable {
  constructor(
    private readonly body: Pick<StreamedBody<BodySource>, 'pull' | 'left'>,
    kept: readonly Buffer[],
  ) {
    super({ highWaterMark: KEPT_BYTES });
    for (const chunk of kept) this.push(chunk);
    // Its fault is told by the body; a stream that fails while nobody reads it yet must not end the process.
    this.on('error', () => this.destroy());
  }

  override _read(): void {
    this.body.pull();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.body.left(this);
    callback(error);
  }
}
