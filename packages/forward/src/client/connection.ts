import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { missingFraming, requestHead } from '../headers/headers.js';
import { BodyWriter } from './body-writer.js';
import { endAtFailedWrite } from './failed-writes.js';
import { type ParsedAnswer, ResponseParser } from './response-parser.js';
import type { Control, Receiver, Sending } from './upstream-port.js';

// One string is one write; a string and a buffer become a vector, which costs twice as much.
const ONE_WRITE_BYTES = 16 * 1024;
const NOTHING = Buffer.alloc(0);

/** A request as it goes out. */
export interface Outgoing {
  sending: Sending;
  head: string;
  chunked: boolean;
}

/** @param host where the request names none. @returns undefined for what can't be written: the receiver was told so */
export function outgoingOf(sending: Sending, host: string, receiver: Receiver): Outgoing | undefined {
  const { method, path, headers, body } = sending;
  const framing = missingFraming(headers, body);
  try {
    return { sending, head: requestHead(method, path, headers, host, framing), chunked: framing === 'chunked' };
  } catch (error) {
    receiver.onError(error as Error, false);
    return undefined;
  }
}

/** The client's end of one HTTP/1.1 connection. It is gone for good when it is closed, says anything unasked, or an exchange breaks off. */
export class HttpConnection {
  readonly parser: ResponseParser;
  /** By `performance.now()`, for whoever keeps it: when its last exchange ended, and when an idle one is not used any more. */
  idleSince = 0;
  idleUntil = Number.POSITIVE_INFINITY;
  private turn: Turn | undefined;
  /** Why the other side takes no more. What it has sent is still read. */
  private refused: Error | undefined;

  /** @param onFree it may carry another exchange @param counter of reads, shared by the connections of one upstream */
  constructor(
    private readonly socket: Socket,
    maxHeaderBytes: number,
    private readonly onFree: (connection: HttpConnection) => void,
    private readonly counter: { heard: number } = { heard: 0 },
  ) {
    const answers: ParsedAnswer = {
      onInformation: (status, headers) => this.turn?.receiver.onInformation(status, headers),
      onHead: (status, headers) => this.turn?.receiver.onHead(status, headers),
      onBody: (chunk) => this.turn?.take(chunk),
      onComplete: (trailers) => {
        if (this.turn !== undefined) this.turn.trailers = trailers;
      },
      onSwitch: (headers) => {
        if (this.turn !== undefined) this.turn.switched = headers;
      },
    };
    this.parser = new ResponseParser(answers, maxHeaderBytes);
    socket.on('data', this.onData).on('end', this.onSocketEnd).on('error', this.onSocketError).on('close', this.onSocketClose);
  }

  /** Idle, open, and silent. */
  get usable(): boolean {
    const { socket } = this;
    return (
      this.turn === undefined && this.refused === undefined && !socket.destroyed && !socket.readableEnded && socket.readableLength === 0
    );
  }

  /**
   * Only on a usable one. @param again in place of an error where it breaks before any byte of an answer
   * @returns false where no byte could leave: another connection may carry the request, and the receiver has heard of no end
   */
  send(outgoing: Outgoing, receiver: Receiver, again?: (error: Error) => void): boolean {
    const { sending, head, chunked } = outgoing;
    const turn = new Turn(this, receiver, again);
    this.turn = turn;
    this.parser.expect(sending.method, sending.switches);
    receiver.onStart(turn);
    if (this.turn !== turn) return true;
    const { socket } = this;
    const { body } = sending;
    if (body === null) socket.write(head, 'latin1');
    else if (Buffer.isBuffer(body)) this.writeWhole(head, body);
    else if (sending.headFirst) socket.write(head, 'latin1');
    // The operating system refused the very first write as it was made.
    if (socket.errored !== null) {
      this.turn = undefined;
      this.parser.stop();
      socket.destroy();
      return false;
    }
    if (body === null || Buffer.isBuffer(body)) return true;
    this.stream(turn, body, sending.headFirst ? undefined : head, chunked);
    return true;
  }

  destroy(): void {
    this.fail(new Error('the upstream was destroyed'));
  }

  /** @internal */
  abort(turn: Turn, error: Error): void {
    if (this.turn === turn) this.fail(error);
  }

  /** @internal */
  flow(turn: Turn, on: boolean): void {
    if (this.turn !== turn) return;
    if (on) this.socket.resume();
    else this.socket.pause();
  }

  private stream(turn: Turn, body: Readable, head: string | undefined, chunked: boolean): void {
    const onDone = (error?: Error) => {
      turn.writer = undefined;
      if (error !== undefined) this.fail(error);
    };
    turn.streamed = true;
    turn.writer = new BodyWriter(this.socket, body, head, chunked, onDone, (error) => {
      this.refused = error;
    });
  }

  private writeWhole(head: string, body: Buffer): void {
    const { socket } = this;
    if (body.length <= ONE_WRITE_BYTES) {
      socket.write(head + body.toString('latin1'), 'latin1');
      return;
    }
    socket.cork();
    socket.write(head, 'latin1');
    socket.write(body);
    socket.uncork();
  }

  private readonly onData = (chunk: Buffer): void => {
    this.counter.heard++;
    const { turn } = this;
    if (turn === undefined) {
      this.socket.destroy();
      return;
    }
    if (!turn.answered) {
      turn.answered = true;
      turn.receiver.onAnswer();
    }
    this.parse(turn, chunk);
  };

  private readonly onSocketEnd = (): void => {
    if (this.turn === undefined) this.socket.destroy();
    // A reset, too, ends what is read here: an answer that ends with its connection is not known to be whole.
    else if (this.refused !== undefined) this.fail(this.refused);
    else this.parse(this.turn, undefined);
  };

  private readonly onSocketError = (error: Error): void => this.fail(error);

  private readonly onSocketClose = (): void => this.fail(new Error('the other side closed the connection'));

  /** @param chunk undefined: the other side has ended */
  private parse(turn: Turn, chunk: Buffer | undefined): void {
    try {
      if (chunk === undefined) this.parser.end();
      else this.parser.push(chunk);
    } catch (error) {
      this.fail(error as Error);
      return;
    }
    if (this.turn !== turn) return;
    if (turn.trailers !== undefined) this.finish(turn, turn.trailers);
    else if (turn.switched !== undefined) this.handOver(turn, turn.switched);
    else turn.receiver.onSound();
  }

  /** The socket carries another protocol from here on. */
  private handOver(turn: Turn, headers: string[]): void {
    const { socket } = this;
    this.turn = undefined;
    this.parser.stop();
    socket.off('data', this.onData).off('end', this.onSocketEnd).off('error', this.onSocketError).off('close', this.onSocketClose);
    turn.receiver.onSwitch!(headers, turn.rest, socket);
  }

  private finish(turn: Turn, trailers: string[]): void {
    const { socket } = this;
    // An answer may end before the request did: then nobody wants the rest, and the connection can't carry another.
    const reusable = this.parser.reusable && turn.writer === undefined && this.refused === undefined && !socket.readableEnded;
    this.turn = undefined;
    if (reusable) {
      if (turn.streamed) endAtFailedWrite(socket);
      if (socket.isPaused()) socket.resume();
      this.onFree(this);
    } else {
      turn.writer?.stop();
      socket.destroy();
    }
    turn.receiver.onEnd(trailers);
  }

  private fail(error: Error): void {
    const { turn } = this;
    this.turn = undefined;
    this.parser.stop();
    this.socket.destroy();
    if (turn === undefined) return;
    const sent = turn.writer?.untouched !== true;
    turn.writer?.stop();
    if (turn.again === undefined || turn.answered) turn.receiver.onError(error, sent);
    else turn.again(error);
  }
}

/** One exchange on a connection. What it says after its end touches nobody else's. */
class Turn implements Control {
  answered = false;
  /** Set at the end of the answer. */
  trailers: string[] | undefined;
  /** Set where the answer switched protocols. */
  switched: string[] | undefined;
  /** What came behind its head in the same read. */
  rest: Buffer = NOTHING;
  /** Its body was not sent at once. */
  streamed = false;
  /** A body that is still being sent. */
  writer: BodyWriter | undefined;

  constructor(
    private readonly connection: HttpConnection,
    readonly receiver: Receiver,
    /** Sends the request anew; undefined where it may not be sent twice, or nobody wants that. */
    public again: ((error: Error) => void) | undefined,
  ) {}

  /** @internal */
  take(chunk: Buffer): void {
    if (this.switched === undefined) this.receiver.onData(chunk);
    else this.rest = chunk;
  }

  pause(): void {
    this.connection.flow(this, false);
  }

  resume(): void {
    this.connection.flow(this, true);
  }

  abort(error: Error): void {
    this.again = undefined;
    this.connection.abort(this, error);
  }
}
