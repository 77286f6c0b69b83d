import net from 'node:net';
import { Readable } from 'node:stream';
import { INSTANCE_HEAD_BYTES } from '../headers/head-limits.js';
import { Members } from '../members.js';
import { HttpConnection, type Outgoing, outgoingOf } from './connection.js';
import type { Receiver, Sending, Upstream } from './upstream-port.js';

export type { Upstream } from './upstream-port.js';

const CONNECT_TIMEOUT_MS = 2000;
// Below the 75 s that our own servers keep an idle connection: the client side must be the one that closes.
const IDLE_MS = 30_000;
const SWEEP_MS = 500;
/**
 * What can't be sent twice goes over no connection that has been idle for longer: the other side may be closing it at this very moment.
 * One that has just served is safe, and uploads that follow one another leave no connection behind.
 */
const FRESH_MS = 1000;
/** Before the moment at which the other side says that it will close. */
const HINT_MARGIN_MS = 1000;
/** No descriptors, no memory, no ports; a network that is down; a firewall of this machine's own. */
const LOCAL_FAULTS: ReadonlySet<string> = new Set(
  'EMFILE ENFILE ENOBUFS ENOMEM EADDRNOTAVAIL EADDRINUSE EAGAIN ENETDOWN ENETUNREACH EPERM EACCES'.split(' '),
);
const KEEP_ALIVE_TIMEOUT = /(?:^|,)[\t ]*timeout=(\d{1,6})/i;

export interface UpstreamAddress {
  host: string;
  port: number;
  /** ms an idle connection is kept; must be less than the other side keeps it. */
  idleTimeout?: number;
  /** The largest head of an answer; default what a node takes from an instance. */
  maxHeaderBytes?: number;
}

export function connectTo(address: UpstreamAddress): DialledUpstream {
  return new DialledUpstream(address);
}

/** A pool of keep-alive connections to one address, as many as there are requests: the caller bounds what is in flight. */
export class DialledUpstream implements Upstream {
  /** The one used last is used next. */
  private idle: HttpConnection[] = [];
  private readonly sockets = new Members<net.Socket>();
  private sweep: NodeJS.Timeout | undefined;
  private readonly host: string;
  heard = 0;
  private closed = false;

  constructor(private readonly address: UpstreamAddress) {
    const { host, port } = address;
    this.host = `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;
  }

  get connected(): boolean {
    return this.idle.some(({ usable }) => usable);
  }

  send(sending: Sending, receiver: Receiver): void {
    const outgoing = outgoingOf(sending, this.host, receiver);
    if (outgoing === undefined) return;
    const connection = this.closed ? undefined : this.takeIdle(isUpload(sending) ? FRESH_MS : Number.POSITIVE_INFINITY);
    // The other side may have closed a connection that served before at the very moment of the sending.
    const again = mayResend(sending) ? (error: Error) => this.dial(outgoing, receiver, error) : undefined;
    if (connection?.send(outgoing, receiver, again) !== true) this.dial(outgoing, receiver);
  }

  /** Takes no new requests; ends when the running ones have ended. */
  close(): void {
    this.closed = true;
    for (const connection of this.idle) connection.destroy();
    this.forgetIdle();
  }

  destroy(): void {
    this.closed = true;
    this.forgetIdle();
    for (const socket of this.sockets) socket.destroy(new Error('the upstream was destroyed'));
  }

  /** @param before why the first try broke, a byte of it sent; told where there is no second */
  private dial(outgoing: Outgoing, receiver: Receiver, before?: Error): void {
    if (this.closed) {
      receiver.onError(before ?? new Error('the upstream is closed'), before !== undefined);
      return;
    }
    const socket = dial(this.address.host, this.address.port);
    const onError = (error: Error) => receiver.onError(before ?? error, before !== undefined);
    socket.once('close', this.sockets.add(socket));
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      const connection = new HttpConnection(socket, this.address.maxHeaderBytes ?? INSTANCE_HEAD_BYTES, this.keep, this);
      if (!connection.send(outgoing, receiver)) onError(new Error('the other side closed the connection at once'));
    });
  }

  /** @param mostIdle ms that it may have been idle at most */
  private takeIdle(mostIdle: number): HttpConnection | undefined {
    const now = performance.now();
    for (let connection = this.idle.pop(); connection !== undefined; connection = this.idle.pop()) {
      if (connection.usable && now < connection.idleUntil) {
        if (now - connection.idleSince <= mostIdle) return connection;
        this.idle.push(connection);
        return undefined;
      }
      connection.destroy();
    }
    return undefined;
  }

  private readonly keep = (connection: HttpConnection): void => {
    if (this.closed) {
      connection.destroy();
      return;
    }
    connection.idleSince = performance.now();
    connection.idleUntil = connection.idleSince + this.idleTime(connection.parser.keepAliveHint);
    this.idle.push(connection);
    this.sweep ??= setInterval(this.endIdle, SWEEP_MS).unref();
  };

  private idleTime(hint: string | undefined): number {
    const { idleTimeout = IDLE_MS } = this.address;
    const seconds = hint === undefined ? undefined : KEEP_ALIVE_TIMEOUT.exec(hint)?.[1];
    return seconds === undefined ? idleTimeout : Math.min(idleTimeout, Number(seconds) * 1000 - HINT_MARGIN_MS);
  }

  private readonly endIdle = (): void => {
    const now = performance.now();
    const kept: HttpConnection[] = [];
    for (const connection of this.idle) {
      if (connection.usable && now < connection.idleUntil) kept.push(connection);
      else connection.destroy();
    }
    this.idle = kept;
    if (kept.length === 0) this.forgetIdle();
  };

  private forgetIdle(): void {
    this.idle = [];
    clearInterval(this.sweep);
    this.sweep = undefined;
  }
}

/** Methods that may run twice (RFC 9110 section 9.2.2, and QUERY). */
export const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'QUERY']);

/** It may run twice, and all of it is at hand. */
function mayResend({ method, body }: Sending): boolean {
  return IDEMPOTENT.has(method) && (body === null || Buffer.isBuffer(body));
}

/** A body that streams can't be sent twice. */
function isUpload({ headFirst, body }: Sending): boolean {
  return headFirst && body instanceof Readable;
}

/** What this process or this machine has run out of says nothing about the other side. */
export function isLocalFault({ code }: NodeJS.ErrnoException): boolean {
  return code !== undefined && LOCAL_FAULTS.has(code);
}

/** A new connection, given up when it does not stand in time. */
export function dial(host: string, port: number): net.Socket {
  const socket = net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: IDLE_MS });
  const timer = setTimeout(
    () =>
      socket.destroy(Object.assign(new Error(`no connection to ${host}:${port} within ${CONNECT_TIMEOUT_MS} ms`), { code: 'ETIMEDOUT' })),
    CONNECT_TIMEOUT_MS,
  );
  socket.once('connect', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
  return socket;
}

/** One connection that the other side opened: one request at a time, never replaced, ended by that side alone, whatever Keep-Alive hints. */
export class SocketUpstream implements Upstream {
  private readonly connection: HttpConnection;
  heard = 0;

  constructor(socket: net.Socket) {
    this.connection = new HttpConnection(socket, INSTANCE_HEAD_BYTES, () => undefined, this);
  }

  get connected(): boolean {
    return this.connection.usable;
  }

  send(sending: Sending, receiver: Receiver): void {
    if (!this.connected) {
      receiver.onError(new Error('the connection is closed'), false);
      return;
    }
    const outgoing = outgoingOf(sending, 'instance', receiver);
    if (outgoing === undefined || this.connection.send(outgoing, receiver)) return;
    receiver.onError(new Error('the other side closed the connection'), false);
  }

  destroy(): void {
    this.connection.destroy();
  }
}
