import type { Socket } from 'node:net';
import { BodyWriter } from './body-writer.js';
import type { Control, Receiver, Sending } from './carrier.js';
import { needsChunks, requestHead } from './request-head.js';
import { type ParsedAnswer, ResponseParser } from './response-parser.js';

// One string is one write; a string and a buffer become a vector, which costs twice as much.
const ONE_WRITE_BYTES = 16 * 1024;

/** A request as it goes out. */
export class Outgoing {
  readonly head: string;
  readonly chunked: boolean;

  /** @param host where the request names none. @throws UnsendableError */
  constructor(
    readonly sending: Sending,
    host: string,
  ) {
    const { method, path, headers, body } = sending;
    this.chunked = body !== null && !Buffer.isBuffer(body) && needsChunks(headers);
    this.head = requestHead(method, path, headers, host, this.chunked);
  }
}

/**
 * The client's end of one HTTP/1.1 connection, one request at a time. It is gone for good when the other side closes it, says
 * anything unasked, or when an exchange on it does not come to its end.
 */
export class HttpConnection {
  readonly parser: ResponseParser;
  /** By `performance.now()`; after that an idle one is not used again. For whoever keeps it. */
  idleUntil = Number.POSITIVE_INFINITY;
  private turn: Turn | undefined;

  /** @param onFree an exchange has ended and the connection may carry another */
  constructor(
    private readonly socket: Socket,
    maxHeaderBytes: number,
    private readonly onFree: (connection: HttpConnection) => void,
  ) {
    const answers: ParsedAnswer = {
      onInformation: (status, headers) => this.turn?.receiver.onInformation(status, headers),
      onHead: (status, headers) => this.turn?.receiver.onHead(status, headers),
      onBody: (chunk) => this.turn?.receiver.onData(chunk),
      onComplete: (trailers) => {
        if (this.turn !== undefined) this.turn.trailers = trailers;
      },
    };
    this.parser = new ResponseParser(answers, maxHeaderBytes);
    socket.on('data', this.onData).on('end', this.onSocketEnd).on('error', this.onSocketError).on('close', this.onSocketClose);
  }

  /** Idle, open, and silent. */
  get usable(): boolean {
    const { socket } = this;
    return this.turn === undefined && !socket.destroyed && !socket.readableEnded && socket.readableLength === 0;
  }

  /** Only on a usable one. */
  send(outgoing: Outgoing, receiver: Receiver): void {
    const { sending, head, chunked } = outgoing;
    const turn = new Turn(this, receiver);
    this.turn = turn;
    this.parser.expect(sending.method);
    receiver.onStart(turn);
    if (this.turn !== turn) return;
    const { socket } = this;
    const { body } = sending;
    if (body === null) socket.write(head, 'latin1');
    else if (Buffer.isBuffer(body)) this.writeWhole(head, body);
    else {
      if (sending.headFirst) socket.write(head, 'latin1');
      turn.writer = new BodyWriter(socket, body, sending.headFirst ? undefined : head, chunked, (error) => {
        turn.writer = undefined;
        if (error !== undefined) this.fail(error);
      });
    }
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
    if (this.turn === turn && turn.trailers !== undefined) this.finish(turn, turn.trailers);
  }

  private finish(turn: Turn, trailers: string[]): void {
    const { socket } = this;
    // An answer may end before the request did: then nobody wants the rest, and the connection can't carry another.
    const reusable = this.parser.reusable && turn.writer === undefined && !socket.readableEnded;
    this.turn = undefined;
    if (reusable) {
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
    turn.writer?.stop();
    turn.receiver.onError(error);
  }
}

/** One exchange on a connection. What it says after its end touches nobody else's. */
class Turn implements Control {
  answered = false;
  /** Set at the end of the answer. */
  trailers: string[] | undefined;
  /** A body that is still being sent. */
  writer: BodyWriter | undefined;

  constructor(
    private readonly connection: HttpConnection,
    readonly receiver: Receiver,
  ) {}

  pause(): void {
    this.connection.flow(this, false);
  }

  resume(): void {
    this.connection.flow(this, true);
  }

  abort(error: Error): void {
    this.connection.abort(this, error);
  }
}
