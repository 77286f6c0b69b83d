import { KeptChunks } from '../body/kept-chunks.js';
import { KEPT_BYTES, type RequestBody } from '../body/request-body.js';
import { GrowingBuffer } from '../bytes/growing-buffer.js';
import { countPassing } from '../bytes/passing-bytes.js';
import type { Control, Receiver, Sending, Upstream } from '../client/upstream-port.js';
import { is } from '../headers/headers.js';
import type { Downstream } from '../server/downstream.js';

/** What goes to the other side. */
export type ForwardRequest = Pick<Sending, 'method' | 'path' | 'headers'>;

/** How one exchange ended. Nothing is ever thrown: every end has a name. */
export type Outcome =
  | { kind: 'relayed'; status: number }
  /** `onHead` kept the answer back: nothing went to the client. At most 64 KiB of body are kept. */
  | { kind: 'withheld'; status: number; headers: string[]; body: Buffer }
  /** Provably no byte of the request was sent. */
  | { kind: 'not_sent'; error: Error }
  /** `answered`: a byte of an answer had come, interim ones aside. A response that had started was cut, never ended cleanly. */
  | { kind: 'broken'; error: Error; answered: boolean; responseStarted: boolean }
  /** `over`: the other side has no work of it, for it had not begun or its answer has ended. */
  | { kind: 'client_gone'; over: boolean }
  /** `sent`: without it, provably no byte was sent. */
  | { kind: 'aborted'; reason: string; sent: boolean; responseStarted: boolean }
  | { kind: 'body_too_large'; responseStarted: boolean };

export interface Exchange {
  readonly outcome: Promise<Outcome>;
  /** Ends it now. The reason comes back in the outcome. */
  abort(reason: string): void;
}

export interface ForwardOptions {
  body: RequestBody;
  /** The answer's head, raw. Returns the headers to send to the client, or undefined to keep the answer back. */
  onHead(status: number, headers: string[]): string[] | undefined;
  /** An interim answer came. 103 goes on to the client by itself. */
  onInformation?(status: number): void;
  /** The request is about to be written; up to here none of it has left. Again where it starts anew on another connection. */
  onStart?(): void;
  /** Where the client leaves, the answer is read on to its end and dropped: that end is the end of the work. */
  readOn?: boolean;
}

/** The reason of an abort because the client stopped sending its body. */
export const SLOW_BODY = 'the request body stopped arriving';

const EARLY_HINTS = 103;
const WITHHELD_BYTES = 64 * 1024;
const NOTHING = Buffer.alloc(0);

/** Streams one request to the other side and its answer to the client, with back-pressure both ways. */
export function forward(request: ForwardRequest, downstream: Downstream, upstream: Upstream, options: ForwardOptions): Exchange {
  const exchange = new RelayedExchange(downstream, options);
  const { method, path, headers } = request;
  const { body } = options;
  // Whoever waits for interim answers may not send the body before one; and what is large or of unknown length may be slow to come.
  const headFirst = options.onInformation !== undefined || body.length === undefined || body.length > KEPT_BYTES;
  upstream.send({ method, path, headers, body: body.source(), headFirst }, exchange);
  return exchange;
}

/** The answer's way to the client. Its head is written once all that came in one read with it was found sound. */
export class RelayedExchange implements Exchange, Receiver {
  readonly outcome: Promise<Outcome>;
  private resolve!: (outcome: Outcome) => void;
  private control: Control | undefined;
  private answered = false;
  private status = 0;
  private settled = false;
  /** Headers of an answer that is kept back; undefined where it is relayed. */
  private withheld: string[] | undefined;
  private withheldBody: GrowingBuffer | undefined;
  /** The head to write. */
  private head: string[] | undefined;
  /** Pieces of the read under way: the first, and any more. */
  private piece: Buffer | undefined;
  private morePieces: KeptChunks | undefined;
  /** Body bytes that the head announced; -1 where it did not. */
  private expected = -1;
  private received = 0;
  /** The chunk that completes the announced length waits for the end, so that both leave in one write. */
  private last: Buffer | undefined;
  private drainWatched = false;
  /** The client is gone and the answer is read on. */
  private left = false;

  constructor(
    private readonly downstream: Downstream,
    private readonly options: ForwardOptions,
  ) {
    this.outcome = new Promise((resolve) => {
      this.resolve = resolve;
    });
    downstream.onGone(this.onClientClose);
    if (downstream.gone) this.onClientClose();
  }

  abort(reason: string): void {
    if (this.settled) return;
    const responseStarted = this.downstream.started;
    this.settle({ kind: 'aborted', reason, sent: this.control !== undefined, responseStarted });
    this.control?.abort(new Error(reason));
    if (responseStarted) this.downstream.cut(this.expected >= 0);
  }

  onStart(control: Control): void {
    this.control = control;
    if (this.settled) control.abort(new Error('no longer wanted'));
    else this.options.onStart?.();
  }

  onAnswer(): void {
    this.answered = true;
  }

  onInformation(status: number, headers: string[]): void {
    if (this.settled || this.left) return;
    // Whole by itself: the answer is still to come.
    this.answered = false;
    this.options.onInformation?.(status);
    if (status === EARLY_HINTS) this.downstream.inform(status, headers);
  }

  onHead(status: number, headers: string[]): void {
    if (this.settled || this.left) return;
    this.answered = true;
    this.status = status;
    const relayed = this.options.onHead(status, headers);
    if (relayed === undefined) {
      this.withheld = headers;
      return;
    }
    for (let i = 0; i < relayed.length; i += 2) {
      if (relayed[i]!.length === 14 && is(relayed[i]!, 'content-length')) this.expected = Number(relayed[i + 1]);
    }
    this.head = relayed;
  }

  onData(chunk: Buffer): void {
    if (this.settled || this.left) return;
    if (this.withheld !== undefined) {
      this.withhold(chunk);
      return;
    }
    this.received += chunk.length;
    if (this.received === this.expected) {
      this.last = chunk;
    } else if (this.piece === undefined) {
      this.piece = chunk;
    } else {
      // A function may answer in chunks of one byte: what came together goes on together.
      this.morePieces ??= new KeptChunks();
      this.morePieces.add(chunk);
    }
  }

  onSound(): void {
    if (this.settled || this.withheld !== undefined) return;
    if (this.head === undefined) this.passPieces();
    else if (this.begin() && this.received === 0) this.downstream.flush();
  }

  onEnd(trailers: string[]): void {
    if (this.settled) return;
    if (this.left) {
      this.settle({ kind: 'client_gone', over: true });
      return;
    }
    if (this.withheld !== undefined) {
      const body = this.withheldBody?.bytes ?? NOTHING;
      this.settle({ kind: 'withheld', status: this.status, headers: this.withheld, body });
      return;
    }
    if (this.head === undefined) this.passPieces();
    else if (!this.begin()) return;
    this.settle({ kind: 'relayed', status: this.status });
    this.downstream.end(this.last, trailers);
    this.options.body.discard();
  }

  onError(error: Error, sent: boolean): void {
    if (this.settled) return;
    const { fault } = this.options.body;
    const responseStarted = this.downstream.started;
    if (fault === 'too_large') this.settle({ kind: 'body_too_large', responseStarted });
    else if (fault === 'gone' || this.left) this.settle({ kind: 'client_gone', over: !sent });
    else if (fault === 'slow') this.settle({ kind: 'aborted', reason: SLOW_BODY, sent, responseStarted });
    else if (!sent) this.settle({ kind: 'not_sent', error });
    else this.settle({ kind: 'broken', error, answered: this.answered, responseStarted });
    if (responseStarted) this.downstream.cut(this.expected >= 0);
  }

  /** @returns false where the answer can't be relayed as it is */
  private begin(): boolean {
    const { head } = this;
    this.head = undefined;
    try {
      this.downstream.begin(this.status, head!);
    } catch (error) {
      const responseStarted = this.downstream.started;
      this.settle({ kind: 'broken', error: error as Error, answered: this.answered, responseStarted });
      this.control?.abort(error as Error);
      if (responseStarted) this.downstream.cut(this.expected >= 0);
      return false;
    }
    this.passPieces();
    return true;
  }

  private passPieces(): void {
    const { piece, morePieces } = this;
    if (piece === undefined) return;
    this.piece = this.morePieces = undefined;
    this.relay(piece);
    if (morePieces !== undefined) for (const chunk of morePieces.list()) this.relay(chunk);
  }

  private relay(chunk: Buffer): void {
    countPassing(chunk.length);
    if (this.downstream.write(chunk)) return;
    this.control?.pause();
    if (this.drainWatched) return;
    this.drainWatched = true;
    this.downstream.onDrain(() => this.control?.resume());
  }

  private withhold(chunk: Buffer): void {
    this.withheldBody ??= new GrowingBuffer();
    const room = WITHHELD_BYTES - this.withheldBody.length;
    this.withheldBody.append(chunk, Math.min(room, chunk.length));
    if (chunk.length <= room) return;
    const { control } = this;
    this.onEnd([]);
    control?.abort(new Error('the rest of a withheld answer is not wanted'));
  }

  private readonly onClientClose = (): void => {
    if (this.settled) return;
    const { control } = this;
    if (control !== undefined && this.options.readOn === true) {
      this.left = true;
      control.resume();
      return;
    }
    this.settle({ kind: 'client_gone', over: control === undefined });
    control?.abort(new Error('the client is gone'));
  };

  private settle(outcome: Outcome): void {
    this.settled = true;
    this.downstream.offGone(this.onClientClose);
    this.resolve(outcome);
  }
}
