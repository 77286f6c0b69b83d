import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Members } from '../members.js';

const TICK_MS = 50;

/**
 * Lets a stopping server end: once it no longer listens, its connections without a request are destroyed, also those that
 * become idle later and those that never carried one, which Node's own `closeIdleConnections` keeps.
 * Call it before the server listens.
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
 * Keeps a server at no more than `max` connections. Over that the oldest one that has not sent a whole head yet goes, then the one
 * that is idle for longest; where all others carry requests, the new one goes. So whoever opens connections and says nothing keeps
 * nobody out. Call it before the server listens.
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
