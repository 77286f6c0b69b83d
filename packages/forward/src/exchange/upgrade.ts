import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { GrowingBuffer } from '../bytes/growing-buffer.js';
import { HttpConnection, outgoingOf } from '../client/connection.js';
import type { Control, Receiver } from '../client/upstream-port.js';
import { INSTANCE_HEAD_BYTES } from '../headers/head-limits.js';
import { answerHead, get } from '../headers/headers.js';
import { bodyOf, HttpDownstream } from '../server/http-server.js';
import { type Exchange, type ForwardOptions, type ForwardRequest, type Outcome, RelayedExchange } from './forward.js';

/** A client that asked to switch protocols, as node:http's `upgrade` event hands it over. */
export interface UpgradingClient {
  request: IncomingMessage;
  /** A TCP or Unix socket, which node:http types as a mere Duplex. */
  socket: Duplex;
  /** What came behind the request's head, and while the answer was awaited. */
  head: Buffer;
}

/** `onHead` is called for 101 and for an answer that declines. */
export interface UpgradeHooks extends Pick<ForwardOptions, 'onHead'> {
  /** The protocols were switched. */
  onSwitched?(): void;
  /** The largest head of an answer; default what a node takes from an instance. */
  maxHeaderBytes?: number;
}

/** A switched connection without a byte either way ends after so long. */
const IDLE_MS = 5 * 60_000;
/** A connection of which one side has ended may stay silent for so long. */
const HALF_OPEN_MS = 1000;
const EARLY_BYTES = 64 * 1024;

/**
 * Takes an upgrade (WebSocket) to the other side: the head, then, after its 101, raw bytes both ways. An answer that declines is relayed
 * and ends the client's connection. A `withheld` outcome leaves the client's socket untouched.
 */
export function spliceUpgrade(
  client: UpgradingClient,
  request: ForwardRequest,
  connect: () => Socket | Promise<Socket>,
  hooks: UpgradeHooks,
): Exchange {
  const exchange = new UpgradeExchange(client, hooks);
  exchange.run(request, connect);
  return exchange;
}

class UpgradeExchange implements Exchange, Receiver {
  readonly outcome: Promise<Outcome>;
  private readonly result = Promise.withResolvers<Outcome>();
  private settled = false;
  private answered = false;
  private switched = false;
  private upstream: Socket | undefined;
  private control: Control | undefined;
  /** An answer that declines, on its way to the client. */
  private declining: RelayedExchange | undefined;
  private readonly early = new GrowingBuffer();

  constructor(
    private readonly client: UpgradingClient,
    private readonly hooks: UpgradeHooks,
  ) {
    this.outcome = this.result.promise;
    // Without a listener an error of a socket would end the process.
    client.socket.on('error', this.onClientClose).on('close', this.onClientClose).on('end', this.onClientClose);
    // Only a socket that is read shows that its other side has left.
    client.socket.on('data', this.onEarlyData);
    client.socket.resume();
    if (client.socket.destroyed || client.socket.readableEnded) this.onClientClose();
  }

  run(request: ForwardRequest, connect: () => Socket | Promise<Socket>): void {
    void Promise.resolve()
      .then(connect)
      .then(
        (socket) => this.connected(socket, request),
        (error: Error) => this.onError(error, false),
      );
  }

  abort(reason: string): void {
    if (this.declining !== undefined) this.declining.abort(reason);
    else this.end({ kind: 'aborted', reason, sent: this.control !== undefined, responseStarted: this.switched });
  }

  private connected(socket: Socket, request: ForwardRequest): void {
    this.upstream = socket;
    if (this.settled) {
      socket.destroy();
    } else if (socket.connecting) {
      const onError = (error: Error) => this.onError(error, false);
      socket.once('error', onError).once('connect', () => {
        socket.off('error', onError);
        this.ask(socket, request);
      });
    } else {
      this.ask(socket, request);
    }
  }

  private ask(socket: Socket, { method, path, headers }: ForwardRequest): void {
    const asked = [...headers, 'Connection', 'Upgrade', 'Upgrade', this.client.request.headers.upgrade ?? ''];
    const outgoing = outgoingOf({ method, path, headers: asked, body: null, headFirst: true, switches: true }, 'instance', this);
    if (outgoing === undefined) return;
    // Nobody keeps a connection on which a handshake was declined.
    const connection = new HttpConnection(socket, this.hooks.maxHeaderBytes ?? INSTANCE_HEAD_BYTES, (free) => free.destroy());
    if (!connection.send(outgoing, this)) this.onError(new Error('the other side closed the connection'), false);
  }

  onStart(control: Control): void {
    this.control = control;
    if (this.settled) control.abort(new Error('no longer wanted'));
  }

  onAnswer(): void {
    this.answered = true;
  }

  onInformation(): void {
    // Whoever awaits another protocol gets no early hints.
  }

  onHead(status: number, headers: string[]): void {
    if (this.settled) return;
    const response = responseOn(this.client);
    const body = bodyOf(this.client.request, 0);
    this.declining = new RelayedExchange(new HttpDownstream(response), { body, onHead: (code, lines) => this.hooks.onHead(code, lines) });
    void this.declining.outcome.then((outcome) => {
      // A client that has seen nothing yet may get another answer.
      if (!response.headersSent) response.detachSocket(this.client.socket as Socket);
      this.settle(outcome);
    });
    this.declining.onStart(this.control!);
    this.declining.onAnswer();
    this.declining.onHead(status, headers);
  }

  onData(chunk: Buffer): void {
    this.declining?.onData(chunk);
  }

  onSound(): void {
    this.declining?.onSound();
  }

  onEnd(trailers: string[]): void {
    this.declining?.onEnd(trailers);
  }

  onSwitch(answered: string[], rest: Buffer, upstream: Socket): void {
    const { socket } = this.client;
    // From here on nobody else listens to it.
    upstream.on('error', (error) => this.onError(error, true));
    const headers = this.settled ? undefined : this.hooks.onHead(101, answered);
    if (headers === undefined) {
      this.onError(new Error('the switch of protocols is not wanted'), true);
      upstream.destroy();
      return;
    }
    this.switched = true;
    this.stopWatchingClient();
    upstream.on('close', () => this.finish(socket as Socket));
    socket.on('error', () => this.end({ kind: 'client_gone', over: this.upstream === undefined }));
    socket.on('close', () => this.finish(upstream));
    const lines = [...headers, 'Connection', 'Upgrade', 'Upgrade', get(answered, 'upgrade') ?? ''];
    socket.write(answerHead(101, lines), 'latin1');
    if (rest.length > 0) socket.write(rest);
    if (this.client.head.length > 0) upstream.write(this.client.head);
    this.hooks.onSwitched?.();
    this.watchIdle(upstream);
    socket.pipe(upstream);
    upstream.pipe(socket);
  }

  onError(error: Error, sent: boolean): void {
    if (this.declining !== undefined) this.declining.onError(error, sent);
    else if (!sent) this.end({ kind: 'not_sent', error });
    else this.end({ kind: 'broken', error, answered: this.answered, responseStarted: this.switched });
  }

  private watchIdle(upstream: Socket): void {
    const idle = () => this.end({ kind: 'aborted', reason: 'idle', sent: true, responseStarted: true });
    // One socket's timer sees both directions: a write resets it as a read does.
    upstream.setTimeout(IDLE_MS, idle);
    // pipe() passes an end on; the other side may still finish its last words.
    const onEnd = () => upstream.setTimeout(HALF_OPEN_MS);
    upstream.on('end', onEnd);
    this.client.socket.on('end', onEnd);
  }

  /** One side is gone in good order; the other gets what is still on its way, within a bound. */
  private finish(other: Socket): void {
    this.settle({ kind: 'relayed', status: 101 });
    other.setTimeout(HALF_OPEN_MS, () => other.destroy());
    other.destroySoon();
  }

  private readonly onEarlyData = (chunk: Buffer): void => {
    const { client, early } = this;
    early.append(chunk);
    if (client.head.length + early.length > EARLY_BYTES) client.socket.pause();
  };

  // The listener for errors stays: without one an error of the socket would end the process.
  private stopWatchingClient(): void {
    const { client, early } = this;
    client.socket.off('close', this.onClientClose).off('end', this.onClientClose).off('data', this.onEarlyData);
    if (early.length > 0) client.head = Buffer.concat([client.head, early.bytes]);
    early.clear();
    if (!this.switched) client.socket.pause();
  }

  /** A client that has ended its side can't use another protocol, and its server keeps half of a connection open for ever. */
  private readonly onClientClose = (): void => {
    this.end({ kind: 'client_gone', over: this.upstream === undefined });
    this.client.socket.destroy();
  };

  /** Settles and takes both sockets down, except a client's that has seen nothing yet: its caller may still answer it. */
  private end(outcome: Outcome): void {
    if (this.settled) return;
    this.settle(outcome);
    this.upstream?.destroy();
    if (this.switched) this.client.socket.destroy();
  }

  private settle(outcome: Outcome): void {
    if (this.settled) return;
    this.settled = true;
    this.stopWatchingClient();
    this.result.resolve(outcome);
  }
}

/** A response on a connection that its server has handed over. It ends the connection. */
function responseOn({ request, socket }: UpgradingClient): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Socket);
  socket.on('drain', () => response.emit('drain'));
  response.once('finish', () => {
    response.detachSocket(socket as Socket);
    (socket as Socket).destroySoon();
  });
  return response;
}
