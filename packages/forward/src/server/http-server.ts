import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { KilnError } from '@kiln/contract/errors';
import { type RequestBody, StreamedBody } from '../body/request-body.js';
import { get } from '../headers/headers.js';
import { hintHeaders, trailerPairs } from '../headers/side-fields.js';
import { Members } from '../members.js';
import type { Downstream } from './downstream.js';
import { writeProblem } from './problem.js';

const CONTINUE = 100;
const EARLY_HINTS = 103;
// Node joins a head and a short string into one write; a head and a buffer become a vector, which costs twice as much.
const ONE_WRITE_BYTES = 16 * 1024;
const TICK_MS = 50;
/** What is sent to a connection that has had its last answer is read and dropped for so long, … */
const LINGER_MS = 30_000;
/** … for so long without a byte, … */
const SILENCE_MS = 2000;
/** … and up to so much. */
const LINGER_BYTES = 256 * 1024 * 1024;

const { destroySoon: endSoon } = Socket.prototype;
const lingering = new WeakSet<object>();

/** The response of a `node:http` server. */
export class HttpDownstream implements Downstream {
  constructor(private readonly response: ServerResponse) {}

  get started(): boolean {
    return this.response.headersSent;
  }

  get gone(): boolean {
    return this.response.destroyed;
  }

  get heldBack(): boolean {
    return this.response.headersSent && this.response.writableNeedDrain;
  }

  get bytesTaken(): number {
    return this.response.socket?.bytesWritten ?? 0;
  }

  onGone(listener: () => void): void {
    this.response.on('close', listener);
  }

  offGone(listener: () => void): void {
    this.response.off('close', listener);
  }

  onDrain(listener: () => void): void {
    this.response.on('drain', listener);
  }

  inform(status: number, lines?: readonly string[]): void {
    const { response } = this;
    if (response.headersSent) return;
    if (status === CONTINUE) response.writeContinue();
    else if (status !== EARLY_HINTS) response.writeInformation(status);
    else if (response.req.httpVersionMinor > 0) {
      try {
        response.writeInformation(EARLY_HINTS, hintHeaders(lines ?? []));
      } catch {
        // A hint that can't be written is left out: it is never worth a failed request.
      }
    }
  }

  begin(status: number, lines: string[]): void {
    this.response.writeHead(status, lines);
  }

  flush(): void {
    this.response.flushHeaders();
  }

  write(chunk: Buffer): boolean {
    return this.response.write(chunk);
  }

  end(last: Buffer | undefined, trailers: readonly string[]): void {
    const { response } = this;
    if (trailers.length > 0 && response.chunkedEncoding) response.addTrailers(trailerPairs(trailers));
    if (last === undefined) response.end();
    else if (last.length > ONE_WRITE_BYTES) response.end(last);
    else response.end(last.toString('latin1'), 'latin1');
  }

  /** A length or chunks show the cut by themselves; an answer that ends with its connection would look whole, so that is reset. */
  cut(counted: boolean): void {
    const { response } = this;
    if (!counted && !response.chunkedEncoding) response.socket?.resetAndDestroy();
    response.destroy();
  }

  destroy(): void {
    this.response.destroy();
  }

  fail(error: KilnError, requestId: string, lines: string[], status?: number): void {
    writeProblem(this.response, error, requestId, lines, status);
  }
}

/** A request without a body. */
export const NO_BODY: RequestBody = {
  length: 0,
  fault: undefined,
  bytes: 0,
  replayable: true,
  whole: true,
  readWhole: async () => undefined,
  firstSegment: async () => undefined,
  accepted: () => undefined,
  source: () => null,
  discard: () => undefined,
};

/** The body of a message of Node's server. @param length declared bytes; undefined where it comes in chunks */
export function bodyOf(message: IncomingMessage, maxBody: number, length: number | undefined = declaredLength(message)): RequestBody {
  return length === 0 ? NO_BODY : new StreamedBody(message, length, maxBody, giveUp);
}

function declaredLength({ rawHeaders }: IncomingMessage): number | undefined {
  const declared = get(rawHeaders, 'content-length');
  if (declared !== undefined) return Number(declared);
  return get(rawHeaders, 'transfer-encoding') === undefined ? 0 : undefined;
}

/** A connection that lingers ends by its own bounds. */
function giveUp({ socket }: IncomingMessage): void {
  if (!lingering.has(socket)) socket.destroy();
}

/**
 * Lets a stopping server end: connections without a request are destroyed, also those that become idle later or never carried one, which
 * Node's `closeIdleConnections` keeps. Call it before the server listens.
 */
export function endIdleConnections(server: Server): void {
  const { fresh, idle } = watchConnections(server);
  server.on('listening', () => {
    const tick = setInterval(() => {
      if (server.listening) return;
      for (const list of [fresh, idle]) for (const socket of list) socket.destroy();
    }, TICK_MS).unref();
    server.once('close', () => clearInterval(tick));
  });
}

/**
 * Keeps a server at `max` connections, so that nobody is kept out by silent ones: over that the oldest without a whole head goes, then the
 * one idle for longest; where all others carry requests, the new one. Call it before the server listens.
 */
export function limitConnections(server: Server, max: number): Pick<Watched, 'answering'> {
  const { fresh, idle, count, answering } = watchConnections(server);
  server.on('connection', (socket) => {
    if (count() > max) (oldest(fresh, socket) ?? oldest(idle) ?? socket).destroy();
  });
  return { answering };
}

interface Watched {
  /** Without a whole head so far, oldest first. */
  fresh: Members<Socket>;
  /** Between two requests, idle for longest first. */
  idle: Members<Socket>;
  /** All that are open. */
  count(): number;
  /** The answer to the last request on a connection, while it is under way: nothing else may be written to that connection. */
  answering(socket: object): ServerResponse | undefined;
}

/** One connection, in one of the two lists or in none. */
interface Place {
  leave(): void;
  /** Under way: pipelined ones begin before the answer to the first has ended. */
  requests: number;
  last: ServerResponse | undefined;
}

function watchConnections(server: Server): Watched {
  const fresh = new Members<Socket>();
  const idle = new Members<Socket>();
  // A key of its own for each watch: a server may have several. A WeakMap keeps dead sockets alive as a Set does.
  const key = Symbol('place');
  type Placed = Socket & { [key]?: Place };
  let open = 0;
  server.on('connection', (socket: Placed) => {
    open++;
    const place: Place = { leave: fresh.add(socket), requests: 0, last: undefined };
    socket[key] = place;
    socket.once('close', () => {
      open--;
      place.leave();
    });
  });
  const busy = ({ socket }: { socket: Placed }) => socket[key]?.leave();
  const onRequest = ({ socket }: { socket: Placed }, response: ServerResponse) => {
    const place = socket[key];
    if (place === undefined) return;
    place.leave();
    place.requests++;
    place.last = response;
    response.once('close', () => {
      place.requests--;
      if (place.requests > 0) return;
      place.last = undefined;
      if (!socket.destroyed) place.leave = idle.add(socket);
    });
  };
  server.on('request', onRequest).on('checkContinue', onRequest).on('checkExpectation', onRequest);
  server.on('upgrade', busy).on('connect', busy);
  const answering = (socket: Placed) => {
    const last = socket[key]?.last;
    return last?.writableFinished === false ? last : undefined;
  };
  return { fresh, idle, count: () => open, answering: (socket) => answering(socket as Placed) };
}

/** A socket that was destroyed a moment ago is gone already, as far as this counts. */
function oldest(sockets: Iterable<Socket>, except?: Socket): Socket | undefined {
  for (const socket of sockets) if (!socket.destroyed && socket !== except) return socket;
  return undefined;
}

/**
 * Whoever still sends when its connection is closed gets a reset, which overtakes the answer. So a connection that ends with an answer is
 * closed for writing first, and read, within bounds, until its other side ends it. What comes meanwhile is no request.
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

/**
 * Answers clients that end their side behind a whole request, as `nc -N` does (RFC 9112 section 9.6). One that is gone looks the same until
 * something is written to it: a connection on which nothing was sent for `graceMs` is closed.
 */
export function answerHalfClosed(server: Server, graceMs = 1000): void {
  // Node's server then answers what has come, and closes the connection behind its last answer. It has no type.
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  server.on('connection', (socket: Socket) => {
    socket.once('end', () => {
      let before = socket.bytesWritten;
      const tick = setInterval(() => {
        // Bytes that wait for a client which is gone are answered by a reset: that ends the connection by itself.
        if (socket.bytesWritten === before && socket.writableLength === 0) socket.destroy();
        before = socket.bytesWritten;
      }, graceMs).unref();
      socket.once('close', () => clearInterval(tick));
    });
  });
}
