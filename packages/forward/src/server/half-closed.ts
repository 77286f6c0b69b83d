import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** A client that has said it sends no more waits so long for the next byte of its answer. */
const GRACE_MS = 1000;

/**
 * Answers clients that end their side behind a whole request, as `nc -N` does (RFC 9112 section 9.6). One that is gone for good looks the
 * same until something is written to it, so the wait has a bound: a connection on which nothing was sent for `graceMs` is closed.
 */
export function answerHalfClosed(server: Server, graceMs = GRACE_MS): void {
  // Node's server then answers what has come, and closes the connection behind its last answer. It has no type.
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  server.on('connection', (socket: Socket) => {
    socket.once('end', () => endWhenSilent(socket, graceMs));
  });
}

function endWhenSilent(socket: Socket, graceMs: number): void {
  if (socket.destroyed) return;
  let before = socket.bytesWritten;
  const tick = setInterval(() => {
    const { bytesWritten, writableLength } = socket;
    // Bytes that wait for a client which is gone are answered by a reset: that ends the connection by itself.
    if (bytesWritten === before && writableLength === 0) socket.destroy();
    before = bytesWritten;
  }, graceMs).unref();
  socket.once('close', () => clearInterval(tick));
}
