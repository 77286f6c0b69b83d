import net from 'node:net';
import { TokenBucket } from '../logs/token-bucket.js';
import { listenAt } from './socket-root.js';

/** `ended <number of the connection>`, one line each. */
const NOTICE = /^ended (\d{1,15})$/;
const MAX_LINE = 32;
/** A notice is for a connection that has closed under a request: thousands of those a second are none of a runner. */
const BYTES_PER_SECOND = 256 * 1024;
/** Notices that nobody waits for are kept so many: they may overtake the news that their connection is closed. */
const EARLY = 100;

/** Where a runner says that the work of a closed connection has ended. It connects to this socket, beside the serving one, first of all. */
export class WorkNotices {
  private readonly server = net.createServer((socket) => this.onConnection(socket));
  private readonly bytes = new TokenBucket(BYTES_PER_SECOND, BYTES_PER_SECOND);
  private readonly waiting = new Map<number, () => void>();
  /** In order of arrival. */
  private readonly early = new Set<number>();
  private connection: net.Socket | undefined;
  private unfinished = '';
  private closed = false;

  /** @param onMisuse a connection or a line that no runner has; called at most once for each */
  private constructor(private readonly onMisuse: () => void) {}

  static async open(path: string, onMisuse: () => void): Promise<WorkNotices> {
    const notices = new WorkNotices(onMisuse);
    await listenAt(notices.server, path);
    return notices;
  }

  /** The runner of this instance says when work ends. A field, since every call looks at it; only its connection's events write it. */
  connected = false;

  /** What is kept for those who wait, and for those who may come. */
  get kept(): number {
    return this.waiting.size + this.early.size;
  }

  /** Resolves when the work on that connection has ended, or when the instance is gone. Once for each connection. */
  ended(connection: number): Promise<void> {
    if (this.closed || this.early.delete(connection)) return Promise.resolve();
    return new Promise((resolve) => this.waiting.set(connection, resolve));
  }

  /** Nobody waits for it any more. */
  forget(connection: number): void {
    this.waiting.delete(connection);
  }

  stopListening(): void {
    if (this.server.listening) this.server.close();
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.stopListening();
    this.connection?.destroy();
    for (const resolve of this.waiting.values()) resolve();
    this.waiting.clear();
    this.early.clear();
  }

  private onConnection(socket: net.Socket): void {
    // What goes wrong on a connection shows in its `close`.
    socket.on('error', () => undefined);
    if (this.closed || this.connected) {
      socket.destroy();
      this.onMisuse();
      return;
    }
    this.connection = socket;
    this.connected = true;
    this.unfinished = '';
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.onText(socket, text));
    socket.once('close', () => {
      this.connected = false;
      this.onMisuse();
    });
  }

  private onText(socket: net.Socket, text: string): void {
    const lines = this.bytes.take(text.length) ? (this.unfinished + text).split('\n') : undefined;
    this.unfinished = lines?.pop() ?? '';
    if (lines === undefined || this.unfinished.length > MAX_LINE || !lines.every((line) => this.onLine(line))) socket.destroy();
  }

  private onLine(line: string): boolean {
    const number = NOTICE.exec(line)?.[1];
    if (number === undefined) return false;
    const connection = Number(number);
    const resolve = this.waiting.get(connection);
    if (resolve !== undefined) {
      this.waiting.delete(connection);
      resolve();
      return true;
    }
    this.early.add(connection);
    for (const oldest of this.early) {
      if (this.early.size <= EARLY) break;
      this.early.delete(oldest);
    }
    return true;
  }
}
