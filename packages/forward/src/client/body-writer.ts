import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { readOnAfterFailedWrite } from './failed-writes.js';

/** Writes a streamed body to a connection no faster than the other side reads it. */
export class BodyWriter {
  /**
   * @param head goes out with the first bytes of the body, or with its end; undefined where it has been sent
   * @param onDone once: without an error all of it was written; the connection is no use after an error
   * @param onRefused the other side has closed; its answer may be there to be read
   */
  constructor(
    private readonly socket: Socket,
    private readonly body: Readable,
    private head: string | undefined,
    private readonly chunked: boolean,
    private readonly onDone: (error?: Error) => void,
    private readonly onRefused: (error: Error) => void,
  ) {
    if (head === undefined) readOnAfterFailedWrite(socket, onRefused);
    body.on('data', this.onData).once('end', this.onEnd).once('error', this.onClose).once('close', this.onClose);
    socket.on('drain', this.onDrain);
    // One that failed or was left before will not say so again.
    if (body.destroyed) process.nextTick(this.onClose, body.errored);
  }

  /** True as long as not even the head was written. */
  get untouched(): boolean {
    return this.head !== undefined;
  }

  /** Nobody reads on: the rest of the body is not wanted. */
  stop(): void {
    this.leave();
    this.body.destroy();
  }

  private readonly onData = (chunk: Buffer): void => {
    const { socket, head } = this;
    socket.cork();
    this.writeHead();
    if (this.chunked) socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    socket.write(chunk);
    if (this.chunked) socket.write('\r\n', 'latin1');
    socket.uncork();
    this.notice(head);
    if (socket.writableNeedDrain) this.body.pause();
  };

  private readonly onEnd = (): void => {
    const { socket, head } = this;
    socket.cork();
    this.writeHead();
    if (this.chunked) socket.write('0\r\n\r\n', 'latin1');
    socket.uncork();
    this.notice(head);
    this.leave();
    // Where nothing has left, the connection says so when it fails, which it is about to.
    if (!this.untouched) this.onDone();
  };

  private readonly onClose = (error?: Error | null): void => {
    this.leave();
    this.onDone(error ?? new Error('the request body ended early'));
  };

  private readonly onDrain = (): void => {
    this.body.resume();
  };

  private writeHead(): void {
    if (this.head === undefined) return;
    this.socket.write(this.head, 'latin1');
    this.head = undefined;
  }

  /** Where the operating system refused the very first write as it was made, nothing has left. */
  private notice(head: string | undefined): void {
    if (head === undefined) return;
    if (this.socket.errored !== null) this.head = head;
    else readOnAfterFailedWrite(this.socket, this.onRefused);
  }

  private leave(): void {
    this.body.off('data', this.onData).off('end', this.onEnd).off('error', this.onClose).off('close', this.onClose);
    this.socket.off('drain', this.onDrain);
  }
}
