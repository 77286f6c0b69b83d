import type { Server } from 'node:http';
import type { Socket } from 'node:net';

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
      for (const socket of [...fresh, ...idle]) socket.destroy();
    }, TICK_MS).unref();
    server.once('close', () => clearInterval(tick));
  });
}

/**
 * Keeps a server at no more than `max` connections. Over that the oldest one that has not sent a whole head yet goes, then the one
 * that is idle for longest; where all others carry requests, the new one goes. So whoever opens connections and says nothing keeps
 * nobody out. Call it before the server listens.
 */
export function limitConnections(server: Server, max: number): void {
  const { fresh, idle, count } = watchConnections(server);
  server.on('connection', (socket) => {
    if (count() > max) (oldest(fresh, socket) ?? oldest(idle) ?? socket).destroy();
  });
}

interface Watched {
  /** Without a whole head so far, oldest first. */
  fresh: ReadonlySet<Socket>;
  /** Between two requests, idle for longest first. */
  idle: ReadonlySet<Socket>;
  /** All that are open. */
  count(): number;
}

function watchConnections(server: Server): Watched {
  const fresh = new Set<Socket>();
  const idle = new Set<Socket>();
  let open = 0;
  server.on('connection', (socket) => {
    open++;
    fresh.add(socket);
    socket.once('close', () => {
      open--;
      fresh.delete(socket);
      idle.delete(socket);
    });
  });
  const busy = ({ socket }: { socket: Socket }) => fresh.delete(socket) || idle.delete(socket);
  const onRequest = (request: { socket: Socket }, response: NodeJS.EventEmitter) => {
    busy(request);
    response.once('close', () => {
      if (!request.socket.destroyed) idle.add(request.socket);
    });
  };
  server.on('request', onRequest).on('checkContinue', onRequest).on('checkExpectation', onRequest);
  server.on('upgrade', busy).on('connect', busy);
  return { fresh, idle, count: () => open };
}

/** A socket that was destroyed a moment ago is gone already, as far as this counts. */
function oldest(sockets: ReadonlySet<Socket>, except?: Socket): Socket | undefined {
  for (const socket of sockets) if (!socket.destroyed && socket !== except) return socket;
  return undefined;
}
