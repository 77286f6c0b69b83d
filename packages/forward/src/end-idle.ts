import type { Server } from 'node:http';
import type { Socket } from 'node:net';

const TICK_MS = 50;

/**
 * Lets a stopping server end: once it no longer listens, its connections without a request are destroyed, also those that
 * become idle later and those that never carried one, which Node's own `closeIdleConnections` keeps.
 * Call it before the server listens.
 */
export function endIdleConnections(server: Server): void {
  const idle = new Set<Socket>();
  server.on('connection', (socket) => {
    idle.add(socket);
    socket.once('close', () => idle.delete(socket));
  });
  server.on('request', ({ socket }, response) => {
    idle.delete(socket);
    response.once('close', () => {
      if (!socket.destroyed) idle.add(socket);
    });
  });
  server.on('listening', () => {
    const tick = setInterval(() => {
      if (server.listening) return;
      for (const socket of idle) socket.destroy();
    }, TICK_MS).unref();
    server.once('close', () => clearInterval(tick));
  });
}
