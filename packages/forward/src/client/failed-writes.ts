import { Socket } from 'node:net';

type Written = (error?: Error | null) => void;

/** The other side has closed the connection. What it had sent before can still be read; then its end comes. */
const CLOSED: ReadonlySet<string | undefined> = new Set(['EPIPE', 'ECONNRESET']);

/**
 * Who answers by the head alone may close its connection while the body is still written. Node would destroy the socket at the first
 * write that fails, with the answer unread. From here on such a write ends nothing: the socket takes no more and is read to its end.
 */
export function readOnAfterFailedWrite(socket: Socket, onFailed: (error: Error) => void): void {
  const held = (written: Written): Written => {
    return (error) => {
      const { code } = (error ?? {}) as NodeJS.ErrnoException;
      if (error && CLOSED.has(code)) onFailed(error);
      else written(error);
    };
  };
  const { _write, _writev } = Socket.prototype;
  socket._write = (chunk, encoding, written) => _write.call(socket, chunk, encoding, held(written));
  socket._writev = (chunks, written) => _writev!.call(socket, chunks, held(written));
}

/** As any socket again. */
export function endAtFailedWrite(socket: Socket): void {
  socket._write = Socket.prototype._write;
  socket._writev = Socket.prototype._writev;
}
