import { chmod, mkdir, rm } from 'node:fs/promises';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { CONNECTION } from '@kiln/contract/wire/headers';
import { SocketUpstream, type Upstream } from '@kiln/forward/client/upstream';
import { Members } from '@kiln/forward/members';
import { TokenBucket } from '../logs/token-bucket.js';
import type { Access, Connection, RawConnection } from './access.js';
import { listenAt, SOCKET_NAME, SOCKET_ROOT_MODE, WORK_SOCKET_NAME } from './socket-root.js';
import { WorkNotices } from './work-notices.js';

/** A ready instance that offers no connection for so long is broken. */
const CONNECTION_WAIT_MS = 2000;
/** Connections that an instance may hold beyond the leases it can get. */
const SPARE_CONNECTIONS = 4;
/** Idle connections that are kept beyond one for each busy one. A runner keeps ready as many as are busy. */
const IDLE_CONNECTIONS = 64;
/** Connections without a request: a runner in trouble tries every 50 ms. Each costs the agent an accept and a close. */
const USELESS_PER_SECOND = 20;
const USELESS_AT_ONCE = 200;

/**
 * The agent's side of instances that dial in: a Unix socket in a folder of its own, read-only for the container, so that no code in it can
 * put another one in its place. A connection carries one request at a time; the instance opens another when one ends.
 */
export class DialIn implements Access {
  private readonly misuse = Promise.withResolvers<string>();
  readonly misused = this.misuse.promise;
  private readonly server = net.createServer((socket) => this.onConnection(socket));
  private readonly open = new Members<Dialled>();
  /** Idle connections; the one used last is used next. */
  private readonly idle: Dialled[] = [];
  private readonly waiters: PromiseWithResolvers<Dialled>[] = [];
  private readonly firstConnection = Promise.withResolvers<void>();
  private readonly useless: TokenBucket;
  private notices!: WorkNotices;
  private accepted = 0;
  private closed = false;
  private destroyed = false;

  private constructor(
    readonly folder: string,
    private readonly concurrency: number,
  ) {
    // All of its idle connections may end at once, with its process.
    this.useless = new TokenBucket(USELESS_PER_SECOND, USELESS_AT_ONCE + concurrency);
    // Whoever never asked for the ready signal must not make its absence an unhandled fault.
    this.firstConnection.promise.catch(() => undefined);
  }

  static async open(folder: string, concurrency: number): Promise<DialIn> {
    const dialIn = new DialIn(folder, concurrency);
    await mkdir(dirname(folder), { recursive: true, mode: SOCKET_ROOT_MODE });
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await chmod(folder, 0o755);
    const [notices] = await Promise.all([
      WorkNotices.open(join(folder, WORK_SOCKET_NAME), () => dialIn.countUseless()),
      listenAt(dialIn.server, join(folder, SOCKET_NAME)),
    ]);
    dialIn.notices = notices;
    return dialIn;
  }

  get saysWorkEnds(): boolean {
    return this.notices.connected;
  }

  /** Connections held, and those of them that are idle. */
  get connections(): { open: number; idle: number } {
    return { open: this.open.size, idle: this.idle.length };
  }

  ready(): Promise<void> {
    return this.firstConnection.promise;
  }

  take(): Connection | Promise<Connection> {
    return this.takeIdle() ?? this.next();
  }

  async takeSocket(): Promise<RawConnection> {
    for (;;) {
      const dialled = this.takeIdle() ?? (await this.next());
      if (!dialled.used) return dialled.take();
      // A connection that has carried requests belongs to the client on it: end it and the instance opens a fresh one.
      dialled.drop();
    }
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.stopListening();
    for (const dialled of this.open) dialled.drop();
    this.notices.destroy();
    const error = new Error('the instance is gone');
    this.firstConnection.reject(error);
    for (const waiter of this.waiters.splice(0)) waiter.reject(error);
    void rm(this.folder, { recursive: true, force: true }).catch(() => undefined);
  }

  private stopListening(): void {
    if (this.closed) return;
    this.closed = true;
    this.server.close();
    this.notices.stopListening();
  }

  private takeIdle(): Dialled | undefined {
    for (let dialled = this.idle.pop(); dialled !== undefined; dialled = this.idle.pop()) {
      if (dialled.sound) return dialled;
      dialled.drop();
    }
    return undefined;
  }

  private onConnection(socket: net.Socket): void {
    if (this.closed || this.open.size >= this.concurrency + SPARE_CONNECTIONS || this.enoughIdle) {
      socket.on('error', ignore);
      socket.destroy();
      this.countUseless();
      return;
    }
    const dialled = new Dialled(socket, ++this.accepted, this.notices, this.onGivenBack);
    const leave = this.open.add(dialled);
    socket.once('close', () => {
      leave();
      this.onClose(dialled);
    });
    this.firstConnection.resolve();
    this.offer(dialled);
  }

  private get enoughIdle(): boolean {
    const busy = this.open.size - this.idle.length;
    return this.idle.length >= busy + IDLE_CONNECTIONS;
  }

  private onClose(dialled: Dialled): void {
    const at = this.idle.lastIndexOf(dialled);
    if (at !== -1) this.idle.splice(at, 1);
    if (!dialled.used) this.countUseless();
  }

  private countUseless(): void {
    if (this.destroyed || this.useless.take(1)) return;
    // At once, not when the instance is gone: until then it could go on.
    this.stopListening();
    this.misuse.resolve(`it opened and closed connections that carried no request, more than ${USELESS_PER_SECOND} a second`);
  }

  private readonly onGivenBack = (dialled: Dialled): void => {
    if (this.destroyed || !dialled.sound || this.enoughIdle) dialled.drop();
    else this.offer(dialled);
  };

  private offer(dialled: Dialled): void {
    const waiter = this.waiters.shift();
    if (waiter === undefined) this.idle.push(dialled);
    else waiter.resolve(dialled);
  }

  /** The next connection that is opened or given back. */
  private next(): Promise<Dialled> {
    if (this.destroyed) return Promise.reject(new Error('the instance is gone'));
    const waiter = Promise.withResolvers<Dialled>();
    this.waiters.push(waiter);
    const timer = setTimeout(() => {
      this.waiters.splice(this.waiters.indexOf(waiter), 1);
      waiter.reject(new Error(`the instance opened no connection within ${CONNECTION_WAIT_MS} ms`));
    }, CONNECTION_WAIT_MS);
    return waiter.promise.finally(() => clearTimeout(timer));
  }
}

/** One connection that an instance opened. Until its first request nothing may be said on it: nobody has asked for anything. */
class Dialled implements Connection, RawConnection {
  private over: Upstream | undefined;
  used = false;
  private introduced = false;
  private sent = false;

  /** @param number by which the runner names it in its notices @param back a request on it has ended */
  constructor(
    readonly socket: net.Socket,
    private readonly number: number,
    private readonly notices: WorkNotices,
    private readonly back: (dialled: Dialled) => void,
  ) {
    socket.on('error', ignore);
    // Not `data`: that would take bytes out of the socket which belong to whoever gets it.
    socket.on('readable', this.onUnasked);
  }

  /** On its first request only: the runner remembers it. */
  introduce(): readonly string[] | undefined {
    if (this.introduced) return undefined;
    this.introduced = true;
    return [CONNECTION, String(this.number)];
  }

  /** Open, and nothing was said on it that nobody asked for. */
  get sound(): boolean {
    if (this.over !== undefined) return this.over.connected;
    return !this.socket.destroyed && !this.socket.readableEnded && this.socket.readableLength === 0;
  }

  get upstream(): Upstream {
    if (this.over === undefined) {
      this.take();
      this.over = new SocketUpstream(this.socket);
    }
    return this.over;
  }

  /** The bare socket, for whoever speaks for itself on it; only of an unused one. */
  take(): RawConnection {
    this.used = true;
    this.socket.off('readable', this.onUnasked);
    return this;
  }

  workEnded(limitMs: number): Promise<boolean> | undefined {
    const { notices, number, socket } = this;
    // Nothing was sent on it ever, so the runner knows of nothing.
    if (socket.bytesWritten === 0) return Promise.resolve(true);
    if (!notices.connected) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        notices.forget(number);
        resolve(false);
      }, limitMs);
      void notices.ended(number).then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  giveBack(): void {
    // What could not be written has introduced nothing.
    if (!this.sent) this.introduced = this.sent = this.socket.bytesWritten > 0;
    this.back(this);
  }

  drop(): void {
    this.over?.destroy();
    this.socket.destroy();
  }

  private readonly onUnasked = (): void => {
    this.socket.destroy();
  };
}

// What goes wrong on a connection shows in its `close`, and to the request on it; one that is refused may be broken already.
function ignore(): void {}
