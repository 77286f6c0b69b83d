import { chmod, mkdir, rm } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { overSocket, type Upstream } from '@kiln/forward/upstream';
import type { Access, Connection } from './access.js';

export const SOCKET_NAME = 'agent.sock';
/** A ready instance that offers no connection for so long is broken. */
const CONNECTION_WAIT_MS = 2000;
/** Connections that an instance may hold beyond the leases it can get. */
const SPARE_CONNECTIONS = 4;

interface Waiter {
  resolve(dialled: Dialled): void;
  reject(error: Error): void;
}

/**
 * The agent's side of instances that dial in: a listening Unix socket in a folder of its own. The agent owns folder and socket,
 * the container sees them read-only, so no code in it can put another socket in this one's place. One connection carries one
 * request at a time; the instance opens another when one ends.
 */
export class DialIn implements Access {
  private readonly server = net.createServer((socket) => this.onConnection(socket));
  private readonly sockets = new Set<net.Socket>();
  /** Idle connections; the one used last is used next. */
  private readonly idle: Dialled[] = [];
  private readonly waiters: Waiter[] = [];
  private readonly firstConnection = Promise.withResolvers<void>();
  private destroyed = false;

  private constructor(
    readonly folder: string,
    private readonly concurrency: number,
  ) {
    // Whoever never asked for the ready signal must not make its absence an unhandled fault.
    this.firstConnection.promise.catch(() => undefined);
  }

  static async open(folder: string, concurrency: number): Promise<DialIn> {
    const dialIn = new DialIn(folder, concurrency);
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await chmod(folder, 0o755);
    const path = join(folder, SOCKET_NAME);
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      dialIn.server.once('error', reject);
      dialIn.server.listen(path, resolve);
    });
    // The instance's user is not ours; the folder is reached by nobody but this instance and this machine's users.
    await chmod(path, 0o666);
    return dialIn;
  }

  ready(): Promise<void> {
    return this.firstConnection.promise;
  }

  take(): Connection | Promise<Connection> {
    return this.takeIdle() ?? this.next();
  }

  async takeSocket(): Promise<net.Socket> {
    for (;;) {
      const dialled = this.takeIdle() ?? (await this.next());
      if (!dialled.used) return dialled.socket;
      // A connection that has carried requests belongs to the client on it: end it and the instance opens a fresh one.
      dialled.drop();
    }
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    const error = new Error('the instance is gone');
    this.firstConnection.reject(error);
    for (const waiter of this.waiters.splice(0)) waiter.reject(error);
    void rm(this.folder, { recursive: true, force: true }).catch(() => undefined);
  }

  private takeIdle(): Dialled | undefined {
    for (let dialled = this.idle.pop(); dialled !== undefined; dialled = this.idle.pop()) {
      if (dialled.sound) return dialled;
      dialled.drop();
    }
    return undefined;
  }

  private onConnection(socket: net.Socket): void {
    if (this.destroyed || this.sockets.size >= this.concurrency + SPARE_CONNECTIONS) {
      socket.destroy();
      return;
    }
    this.sockets.add(socket);
    socket.on('error', ignore);
    socket.once('close', () => this.sockets.delete(socket));
    this.firstConnection.resolve();
    this.offer(new Dialled(socket, this.onGivenBack));
  }

  private readonly onGivenBack = (dialled: Dialled): void => {
    if (this.destroyed || !dialled.sound) dialled.drop();
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
    return new Promise((resolve, reject) => {
      const give = () => {
        this.waiters.splice(this.waiters.indexOf(waiter), 1);
        reject(new Error(`the instance opened no connection within ${CONNECTION_WAIT_MS} ms`));
      };
      const timer = setTimeout(give, CONNECTION_WAIT_MS);
      const waiter: Waiter = {
        resolve: (dialled) => {
          clearTimeout(timer);
          resolve(dialled);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.waiters.push(waiter);
    });
  }
}

/** One connection that the instance opened. */
class Dialled implements Connection {
  private over: Upstream | undefined;

  constructor(
    readonly socket: net.Socket,
    private readonly back: (dialled: Dialled) => void,
  ) {}

  get used(): boolean {
    return this.over !== undefined;
  }

  /** Open, and nothing was said on it that nobody asked for. */
  get sound(): boolean {
    if (this.over !== undefined) return this.over.connected;
    return !this.socket.destroyed && !this.socket.readableEnded && this.socket.readableLength === 0;
  }

  get upstream(): Upstream {
    this.over ??= overSocket(this.socket);
    return this.over;
  }

  giveBack(): void {
    this.back(this);
  }

  drop(): void {
    this.over?.destroy();
    this.socket.destroy();
  }
}

// What goes wrong on a connection shows in its `close`, and to the request on it.
function ignore(): void {}
