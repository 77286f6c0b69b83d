import net from 'node:net';
import { Readable } from 'node:stream';
import type { Receiver, Sending, Upstream } from './carrier.js';
import { HttpConnection, Outgoing } from './connection.js';
import { mayResend, SecondChance } from './second-chance.js';

export type { Upstream } from './carrier.js';

const MAX_HEADER_BYTES = 64 * 1024;
const CONNECT_TIMEOUT_MS = 2000;
// Below the 75 s that our own servers keep an idle connection: the client side must be the one that closes.
const IDLE_MS = 30_000;
const SWEEP_MS = 500;
/** Before the moment at which the other side says that it will close. */
const HINT_MARGIN_MS = 1000;
const KEEP_ALIVE_TIMEOUT = /(?:^|,)[\t ]*timeout=(\d{1,6})/i;

export interface Address {
  host: string;
  port: number;
  /** ms an idle connection is kept; must be less than the other side keeps it. */
  idleTimeout?: number;
  /** The largest head of an answer; default 64 KiB. */
  maxHeaderBytes?: number;
}

/** A pool of keep-alive connections to one address, as many as there are requests: the caller bounds what is in flight. */
export function connectTo(address: Address): Upstream {
  return new DialledUpstream(address);
}

class DialledUpstream implements Upstream {
  /** The one used last is used next. */
  private idle: HttpConnection[] = [];
  private readonly sockets = new Set<net.Socket>();
  private sweep: NodeJS.Timeout | undefined;
  private readonly host: string;
  private closed = false;

  constructor(private readonly address: Address) {
    const { host, port } = address;
    this.host = `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;
  }

  get connected(): boolean {
    return this.idle.some(({ usable }) => usable);
  }

  send(sending: Sending, receiver: Receiver): void {
    let outgoing: Outgoing;
    try {
      outgoing = new Outgoing(sending, this.host);
    } catch (error) {
      receiver.onError(error as Error);
      return;
    }
    // A body that can't be sent twice must not go over a connection which the other side may be closing at this moment.
    const once = sending.headFirst && sending.body instanceof Readable;
    const connection = once || this.closed ? undefined : this.takeIdle();
    if (connection === undefined) this.dial(outgoing, receiver);
    else if (!mayResend(sending)) connection.send(outgoing, receiver);
    else connection.send(outgoing, new SecondChance(receiver, (error) => this.dial(outgoing, receiver, error)));
  }

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

  /** @param before why the first try broke; told where there is no second */
  private dial(outgoing: Outgoing, receiver: Receiver, before?: Error): void {
    if (this.closed) {
      receiver.onError(before ?? new Error('the upstream is closed'));
      return;
    }
    const socket = dial(this.address.host, this.address.port);
    this.sockets.add(socket);
    const onError = (error: Error) => receiver.onError(before ?? error);
    socket.once('close', () => this.sockets.delete(socket));
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      new HttpConnection(socket, this.address.maxHeaderBytes ?? MAX_HEADER_BYTES, this.keep).send(outgoing, receiver);
    });
  }

  private takeIdle(): HttpConnection | undefined {
    const now = performance.now();
    for (let connection = this.idle.pop(); connection !== undefined; connection = this.idle.pop()) {
      if (connection.usable && now < connection.idleUntil) return connection;
      connection.destroy();
    }
    return undefined;
  }

  private readonly keep = (connection: HttpConnection): void => {
    if (this.closed) {
      connection.destroy();
      return;
    }
    connection.idleUntil = performance.now() + this.idleTime(connection.parser.keepAliveHint);
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

/** A new connection, given up when it does not stand in time. */
export function dial(host: string, port: number): net.Socket {
  const socket = net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: IDLE_MS });
  const timer = setTimeout(
    () => socket.destroy(new Error(`no connection to ${host}:${port} within ${CONNECT_TIMEOUT_MS} ms`)),
    CONNECT_TIMEOUT_MS,
  );
  socket.once('connect', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
  return socket;
}

/**
 * One connection that the other side opened. It carries one request at a time, is never replaced, and lives until that side ends
 * it, whatever its Keep-Alive header hints.
 */
export function overSocket(socket: net.Socket): Upstream {
  return new SocketUpstream(socket);
}

class SocketUpstream implements Upstream {
  private readonly connection: HttpConnection;
  private closed = false;

  constructor(socket: net.Socket) {
    this.connection = new HttpConnection(socket, MAX_HEADER_BYTES, (connection) => {
      if (this.closed) connection.destroy();
    });
  }

  get connected(): boolean {
    return this.connection.usable;
  }

  send(sending: Sending, receiver: Receiver): void {
    let outgoing: Outgoing;
    try {
      if (this.closed || !this.connection.usable) throw new Error('the connection is closed');
      outgoing = new Outgoing(sending, 'instance');
    } catch (error) {
      receiver.onError(error as Error);
      return;
    }
    this.connection.send(outgoing, receiver);
  }

  close(): void {
    this.closed = true;
    if (this.connection.usable) this.connection.destroy();
  }

  destroy(): void {
    this.connection.destroy();
  }
}
