import net from 'node:net';
import { Readable } from 'node:stream';
import { Client, Pool } from 'undici';
import type { Receiver, Sending, Upstream } from './carrier.js';
import { sendHeadFirst } from './head-first.js';
import { UndiciUpstream } from './undici-upstream.js';

export type { Upstream } from './carrier.js';

const MAX_HEADER_BYTES = 64 * 1024;
const CONNECT_TIMEOUT_MS = 2000;
// Below the 75 s that our own servers keep an idle connection: the client side must be the one that closes.
const IDLE_MS = 30_000;

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

class DialledUpstream extends UndiciUpstream {
  private readonly running = new Set<net.Socket>();

  constructor(private readonly address: Address) {
    const { host, port, idleTimeout = IDLE_MS, maxHeaderBytes = MAX_HEADER_BYTES } = address;
    const pool = new Pool(`http://${net.isIPv6(host) ? `[${host}]` : host}:${port}`, {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: maxHeaderBytes,
      keepAliveTimeout: idleTimeout,
      keepAliveMaxTimeout: idleTimeout,
      allowH2: false,
      connect: { timeout: CONNECT_TIMEOUT_MS, noDelay: true, keepAlive: true, keepAliveInitialDelay: IDLE_MS },
    });
    super(pool, () => pool.stats.free > 0);
  }

  override send(sending: Sending, receiver: Receiver): void {
    const { maxHeaderBytes = MAX_HEADER_BYTES } = this.address;
    if (sending.headFirst && sending.body instanceof Readable) sendHeadFirst(this.dial(), sending, sending.body, receiver, maxHeaderBytes);
    else super.send(sending, receiver);
  }

  override destroy(): void {
    super.destroy();
    for (const socket of this.running) socket.destroy(new Error('the upstream was destroyed'));
  }

  private dial(): net.Socket {
    const socket = dial(this.address.host, this.address.port);
    this.running.add(socket);
    socket.once('close', () => this.running.delete(socket));
    return socket;
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
 * One connection that the other side opened. It carries one request at a time, is never replaced, and is gone when the other
 * side closes it or says anything unasked.
 */
export function overSocket(socket: net.Socket): Upstream {
  const watch = watchIdle(socket);
  let taken = false;
  const client = new Client('http://instance', {
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: MAX_HEADER_BYTES,
    allowH2: false,
    // The connection is the other side's: it lives until that side ends it, whatever its Keep-Alive header hints.
    keepAliveTimeout: NEVER_MS,
    keepAliveMaxTimeout: NEVER_MS,
    keepAliveTimeoutThreshold: -NEVER_MS,
    // In a later tick: undici takes no notice of a connection that stands at once.
    connect: (_options, callback) =>
      process.nextTick(() => {
        watch.stop();
        const usable = !taken && !socket.destroyed && !socket.readableEnded;
        taken = true;
        if (usable) callback(null, socket);
        else callback(new Error('the connection is closed'), null);
      }),
  });
  return new UndiciUpstream(client, () => !socket.destroyed && !socket.readableEnded);
}

const NEVER_MS = 2 ** 31 - 1;

// Until undici takes the socket nobody would read it, and then its end would go unseen.
function watchIdle(socket: net.Socket): { stop(): void } {
  const onReadable = () => {
    if (socket.read() !== null) socket.destroy(new Error('the other side spoke unasked'));
  };
  const onError = () => socket.destroy();
  socket.on('readable', onReadable).on('error', onError);
  return {
    stop: () => {
      socket.off('readable', onReadable).off('error', onError);
    },
  };
}
