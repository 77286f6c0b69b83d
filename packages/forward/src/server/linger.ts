import type { Server } from 'node:http';
import { Socket } from 'node:net';

/** What is sent to a connection that has had its last answer is read and dropped for so long, … */
const LINGER_MS = 30_000;
/** … for so long without a byte, … */
const SILENCE_MS = 2000;
/** … and up to so much. */
const LINGER_BYTES = 256 * 1024 * 1024;

const { destroySoon: endSoon } = Socket.prototype;
const lingering = new WeakSet<object>();

/**
 * Whoever is still sending when its connection is closed gets a reset, which overtakes the answer that was written before. So a
 * connection of this server that ends with an answer is closed for writing first, and read until its other side ends it, too, within
 * bounds. What comes meanwhile is no request.
 */
export function lingerAtClose(server: Server): void {
  // Node's server, too, ends a connection by this after its last answer.
  server.on('connection', (socket: Socket) => {
    socket.destroySoon = linger;
  });
  // Who asked for the end of the connection sends nothing after its request: where that is whole, nothing needs to be waited for.
  server.on('request', (request, response) => {
    if (response.shouldKeepAlive) return;
    request.socket.destroySoon = function (this: Socket) {
      if (request.complete) endSoon.call(this);
      else linger.call(this);
    };
  });
}

/** The connection has had its last answer, and whatever it sends is dropped. */
export function isLingering(socket: object): boolean {
  return lingering.has(socket);
}

/** What comes from here on is read by nobody, also not by the parser of Node's server. */
export function dropIncoming(socket: NodeJS.EventEmitter, onDropped: (bytes: number) => void = () => undefined): void {
  socket.removeAllListeners('data').removeAllListeners('end');
  socket.on('data', (chunk: Buffer) => onDropped(chunk.length));
}

function linger(this: Socket): void {
  if (this.destroyed || lingering.has(this)) return;
  lingering.add(this);
  let silence: NodeJS.Timeout | undefined;
  let dropped = 0;
  const close = () => this.destroy();
  dropIncoming(this, (bytes) => {
    dropped += bytes;
    if (dropped > LINGER_BYTES) close();
    else silence?.refresh();
  });
  const untilItEnds = () => {
    if (this.readableEnded) return close();
    silence = setTimeout(close, SILENCE_MS).unref();
    const whole = setTimeout(close, LINGER_MS).unref();
    this.once('end', close).once('close', () => {
      clearTimeout(silence);
      clearTimeout(whole);
    });
  };
  this.resume();
  if (this.writable) this.end();
  if (this.writableFinished) untilItEnds();
  else this.once('finish', untilItEnds);
}
