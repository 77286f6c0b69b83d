import http from 'node:http';
import type { Socket } from 'node:net';
import { pipeline, type Readable } from 'node:stream';
import type { Control, Receiver, Sending } from './carrier.js';
import { get } from './headers.js';

/** Opens the connection that a request goes over. */
export type Dial = () => Socket;

/**
 * Sends a request whose body streams over a connection of its own, its head at once. Two reasons not to use the pool: undici
 * holds the head back until the first byte of the body, but the other side must see the head first (it may have to admit the
 * request before the body may come); and a body that can't be sent twice should not go over a connection which the other side
 * may be closing at this moment.
 */
export function sendHeadFirst(dial: Dial, sending: Sending, body: Readable, receiver: Receiver, maxHeaderSize: number): void {
  const headers =
    get(sending.headers, 'content-length') === undefined ? [...sending.headers, 'Transfer-Encoding', 'chunked'] : sending.headers;
  const socket = dial();
  const request = http.request({
    method: sending.method,
    path: sending.path,
    headers,
    maxHeaderSize,
    setHost: false,
    createConnection: () => socket,
  });
  const control = new HeadFirstControl(request);
  const start = () => receiver.onStart(control);
  if (socket.connecting) socket.once('connect', start);
  else start();

  // The first to report decides; node:http may report the same fault from the request, the response and the body.
  let ended = false;
  const fail = (error: Error) => {
    if (ended) return;
    ended = true;
    request.destroy();
    receiver.onError(error);
  };
  request.on('error', fail);
  request.on('upgrade', (_response, upgraded) => {
    upgraded.destroy();
    fail(new Error('the other side switched protocols unasked'));
  });
  request.on('information', (info) => {
    if (!ended) receiver.onInformation(info.statusCode, info.rawHeaders);
  });
  request.on('response', (response) => {
    control.response = response;
    receiver.onHead(response.statusCode!, response.rawHeaders);
    response.on('data', (chunk: Buffer) => receiver.onData(chunk));
    response.on('error', fail);
    response.on('end', () => {
      if (ended || !response.complete) return;
      ended = true;
      receiver.onEnd(response.rawTrailers);
      // An answer may end before the body did: then nobody wants the rest.
      request.destroy();
      body.destroy();
    });
  });
  request.flushHeaders();
  pipeline(body, request, (error) => {
    if (error) fail(error);
  });
}

class HeadFirstControl implements Control {
  response: http.IncomingMessage | undefined;

  constructor(private readonly request: http.ClientRequest) {}

  pause(): void {
    this.response?.pause();
  }

  resume(): void {
    this.response?.resume();
  }

  abort(error: Error): void {
    this.request.destroy(error);
  }
}
