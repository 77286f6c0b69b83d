import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline, type Readable } from 'node:stream';
import type { Control, Receiver, Sending } from './carrier.js';
import { get } from './headers.js';

/**
 * Sends a request with a streaming body over a connection of its own, its head at once. Two reasons not to use the pool: undici
 * holds the head back until the first byte of the body, but the other side must see the head first (it may have to admit the
 * request before the body may come); and a body that can't be sent twice should not go over a connection which the other side
 * may be closing at this moment.
 */
export function sendHeadFirst(socket: Socket, sending: Sending, body: Readable, receiver: Receiver, maxHeaderSize: number): void {
  const chunked = get(sending.headers, 'content-length') === undefined;
  const request = http.request({
    method: sending.method,
    path: sending.path,
    headers: chunked ? [...sending.headers, 'Transfer-Encoding', 'chunked'] : sending.headers,
    maxHeaderSize,
    setHost: false,
    createConnection: () => socket,
  });
  const exchange = new HeadFirst(request, body, receiver);
  if (socket.connecting) socket.once('connect', () => exchange.start());
  else exchange.start();
}

class HeadFirst implements Control {
  private response: IncomingMessage | undefined;
  /** The first to report decides: node:http may report the same fault from the request, the response and the body. */
  private ended = false;

  constructor(
    private readonly request: ClientRequest,
    private readonly body: Readable,
    private readonly receiver: Receiver,
  ) {
    request.on('error', (error) => this.fail(error));
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      this.fail(new Error('the other side switched protocols unasked'));
    });
    request.on('information', ({ statusCode, rawHeaders }) => {
      if (this.ended) return;
      receiver.onAnswer();
      receiver.onInformation(statusCode, rawHeaders);
    });
    request.on('response', (response) => this.onResponse(response));
  }

  start(): void {
    this.receiver.onStart(this);
    if (this.ended) return;
    this.request.flushHeaders();
    pipeline(this.body, this.request, (error) => {
      if (error) this.fail(error);
    });
  }

  pause(): void {
    this.response?.pause();
  }

  resume(): void {
    this.response?.resume();
  }

  abort(error: Error): void {
    this.fail(error);
  }

  private onResponse(response: IncomingMessage): void {
    const { receiver } = this;
    this.response = response;
    response.on('data', (chunk: Buffer) => receiver.onData(chunk));
    response.on('error', (error) => this.fail(error));
    response.on('end', () => {
      if (this.ended || !response.complete) return;
      this.ended = true;
      receiver.onEnd(response.rawTrailers);
      // An answer may end before the body did: then nobody wants the rest.
      this.request.destroy();
      this.body.destroy();
    });
    receiver.onAnswer();
    receiver.onHead(response.statusCode!, response.rawHeaders);
  }

  private fail(error: Error): void {
    if (this.ended) return;
    this.ended = true;
    this.request.destroy();
    this.body.destroy();
    this.receiver.onError(error);
  }
}
