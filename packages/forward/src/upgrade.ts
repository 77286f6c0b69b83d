import http, { type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Exchange, ForwardRequest, Outcome } from './forward.js';

/** A client that asked to switch protocols, as node:http's `upgrade` event hands it over. */
export interface UpgradingClient {
  request: IncomingMessage;
  /** A TCP or Unix socket, which node:http types as a mere Duplex. */
  socket: Duplex;
  /** What came behind the request's head; grows while the answer is awaited. */
  head: Buffer;
}

export interface UpgradeHooks {
  /** As in `forward`; called for 101 and for an answer that declines. */
  onHead(status: number, headers: string[]): string[] | undefined;
  /** The protocols were switched: from here on only `idleTimeout` ends a silent connection. */
  onSwitched?(): void;
  /** ms without a byte either way after the switch. */
  idleTimeout?: number;
}

const IDLE_MS = 5 * 60_000;
/** A connection of which one side has ended may stay silent for so long. */
const HALF_OPEN_MS = 1000;
const EARLY_BYTES = 64 * 1024;
const DECLINED_BYTES = 64 * 1024;

/**
 * Takes an upgrade (WebSocket) to the other side: the request's head, then, after its 101, the raw bytes both ways. An answer
 * that declines is relayed and ends the client's connection. A `withheld` outcome leaves the client's socket untouched.
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

class UpgradeExchange implements Exchange {
  readonly outcome: Promise<Outcome>;
  private resolve!: (outcome: Outcome) => void;
  private settled = false;
  private responseStarted = false;
  private sent = false;
  private upstream: Socket | undefined;

  constructor(
    private readonly client: UpgradingClient,
    private readonly hooks: UpgradeHooks,
  ) {
    this.outcome = new Promise((resolve) => {
      this.resolve = resolve;
    });
    // Without a listener an error of a socket would end the process.
    client.socket.on('error', this.onClientClose);
    client.socket.on('close', this.onClientClose);
    client.socket.on('end', this.onClientClose);
    // Only a socket that is read shows that its other side has left.
    client.socket.on('data', this.onEarlyData);
    client.socket.resume();
    if (client.socket.destroyed || client.socket.readableEnded) this.onClientClose();
  }

  run(request: ForwardRequest, connect: () => Socket | Promise<Socket>): void {
    void Promise.resolve()
      .then(connect)
      .then(
        (socket) => this.send(request, socket),
        (error: Error) => this.fail(error),
      );
  }

  abort(reason: string): void {
    if (this.settled) return;
    this.end({ kind: 'aborted', reason, responseStarted: this.responseStarted });
  }

  private send(forwarded: ForwardRequest, socket: Socket): void {
    this.upstream = socket;
    if (this.settled) {
      socket.destroy();
      return;
    }
    const request = http.request({
      method: forwarded.method,
      path: forwarded.path,
      headers: [...forwarded.headers, 'Connection', 'Upgrade', 'Upgrade', this.client.request.headers.upgrade ?? ''],
      setHost: false,
      createConnection: () => socket,
    });
    if (socket.connecting) socket.once('connect', () => this.onSent());
    else this.onSent();
    request.on('error', (error) => this.fail(error));
    request.on('upgrade', (response, _socket, head) => this.onSwitch(response, socket, head));
    request.on('response', (response) => this.onDeclined(response));
    request.end();
  }

  private onSent(): void {
    this.sent = true;
  }

  private onSwitch(response: IncomingMessage, upstream: Socket, head: Buffer): void {
    const { socket } = this.client;
    const headers = this.hooks.onHead(101, response.rawHeaders);
    if (this.settled || headers === undefined) {
      this.fail(new Error('the switch of protocols is not wanted'));
      return;
    }
    this.responseStarted = true;
    this.stopWatchingClient();
    upstream.on('error', (error) => this.fail(error));
    upstream.on('close', () => this.finish(socket as Socket));
    socket.on('error', () => this.end({ kind: 'client_gone' }));
    socket.on('close', () => this.finish(upstream));
    const switched = [...headers, 'Connection', 'Upgrade', 'Upgrade', response.headers.upgrade ?? ''];
    socket.write(headMessage(101, 'Switching Protocols', switched), 'latin1');
    if (head.length > 0) socket.write(head);
    if (this.client.head.length > 0) upstream.write(this.client.head);
    this.hooks.onSwitched?.();
    this.watchIdle(upstream);
    socket.pipe(upstream);
    upstream.pipe(socket);
  }

  private onDeclined(response: IncomingMessage): void {
    const status = response.statusCode!;
    const headers = this.hooks.onHead(status, response.rawHeaders);
    const kept: Buffer[] = [];
    let size = 0;
    response.on('error', (error) => this.fail(error));
    if (headers === undefined) {
      response.on('data', (chunk: Buffer) => {
        if (size < DECLINED_BYTES) kept.push(chunk.subarray(0, DECLINED_BYTES - size));
        size += chunk.length;
      });
      response.on('end', () => this.settleWithheld(status, response.rawHeaders, Buffer.concat(kept)));
      return;
    }
    this.responseStarted = true;
    const { socket } = this.client;
    socket.write(headMessage(status, response.statusMessage ?? '', [...withoutLength(headers), 'Connection', 'close']), 'latin1');
    response.on('end', () => {
      this.settle({ kind: 'relayed', status });
      this.upstream?.destroy();
    });
    response.pipe(socket);
  }

  private settleWithheld(status: number, headers: string[], body: Buffer): void {
    this.settle({ kind: 'withheld', status, headers, body });
    this.upstream?.destroy();
  }

  private watchIdle(upstream: Socket): void {
    const idle = () => this.end({ kind: 'aborted', reason: 'idle', responseStarted: true });
    // One socket's timer sees both directions: a write resets it as a read does.
    upstream.setTimeout(this.hooks.idleTimeout ?? IDLE_MS, idle);
    // pipe() passes an end on; the other side may still finish its last words.
    const onEnd = () => upstream.setTimeout(HALF_OPEN_MS);
    upstream.on('end', onEnd);
    this.client.socket.on('end', onEnd);
  }

  private fail(error: Error): void {
    if (this.settled) return;
    if (!this.sent) this.settle({ kind: 'not_sent', error });
    else this.end({ kind: 'broken', error, answered: this.responseStarted, responseStarted: this.responseStarted });
    this.upstream?.destroy();
  }

  /** One side is gone in good order; the other gets what is still on its way, within a bound. */
  private finish(other: Socket): void {
    this.settle({ kind: 'relayed', status: 101 });
    other.setTimeout(HALF_OPEN_MS, () => other.destroy());
    other.destroySoon();
  }

  private readonly onEarlyData = (chunk: Buffer): void => {
    const { client } = this;
    client.head = Buffer.concat([client.head, chunk]);
    if (client.head.length > EARLY_BYTES) client.socket.pause();
  };

  // The listener for errors stays: without one an error of the socket would end the process.
  private stopWatchingClient(): void {
    const { socket } = this.client;
    socket.off('close', this.onClientClose).off('end', this.onClientClose).off('data', this.onEarlyData);
    if (!this.responseStarted) socket.pause();
  }

  private readonly onClientClose = (): void => {
    this.end({ kind: 'client_gone' });
  };

  /** Settles and takes both sockets down, except a client's that has seen nothing yet: its caller may still answer it. */
  private end(outcome: Outcome): void {
    if (this.settled) return;
    this.settle(outcome);
    this.upstream?.destroy();
    if (this.responseStarted) this.client.socket.destroy();
  }

  private settle(outcome: Outcome): void {
    if (this.settled) return;
    this.settled = true;
    this.stopWatchingClient();
    this.resolve(outcome);
  }
}

function headMessage(status: number, reason: string, headers: readonly string[]): string {
  let head = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${head}\r\n`;
}

// The body of a declining answer is relayed decoded and ends with the connection.
function withoutLength(headers: string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.toLowerCase() !== 'content-length') kept.push(headers[i]!, headers[i + 1]!);
  }
  return kept;
}
