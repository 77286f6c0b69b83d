import { rm } from 'node:fs/promises';
import net from 'node:net';
import { overSocket, type Upstream } from '@kiln/forward/client/upstream';

/** A ready instance that offers no connection for so long is broken. */
const CONNECTION_WAIT_MS = 5000;

/**
 * The side of a node that a runner dials in to: a Unix socket of its own for each instance. One connection carries one request at
 * a time; the runner opens another when one ends.
 */
export class DevDialIn {
  private readonly server = net.createServer((socket) => this.onConnection(socket));
  private readonly sockets = new Set<net.Socket>();
  private idle: DevConnection[] = [];
  private readonly waiters: ((connection: DevConnection) => void)[] = [];
  private readonly first = Promise.withResolvers<void>();

  constructor(private readonly path: string) {}

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.path, resolve);
    });
  }

  /** The runner has loaded its module: only then does it connect. */
  ready(): Promise<void> {
    return this.first.promise;
  }

  /** @throws Error when none comes in time */
  async take(): Promise<DevConnection> {
    for (let found = this.idle.pop(); found !== undefined; found = this.idle.pop()) if (found.sound) return found;
    return await new Promise((resolve, reject) => {
      const waiter = (connection: DevConnection) => {
        clearTimeout(timer);
        resolve(connection);
      };
      const timer = setTimeout(() => {
        this.waiters.splice(this.waiters.indexOf(waiter), 1);
        reject(new Error('the function accepts no connection any more'));
      }, CONNECTION_WAIT_MS);
      this.waiters.push(waiter);
    });
  }

  /** One that has carried no request, for raw bytes; the caller's own from here on. */
  async takeSocket(): Promise<net.Socket> {
    for (;;) {
      const { socket, used } = await this.take();
      if (!used) return socket;
      socket.destroy();
    }
  }

  giveBack(connection: DevConnection): void {
    if (!connection.sound) return;
    const waiter = this.waiters.shift();
    if (waiter === undefined) this.idle.push(connection);
    else waiter(connection);
  }

  async destroy(): Promise<void> {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    this.idle = [];
    await rm(this.path, { force: true });
  }

  private onConnection(socket: net.Socket): void {
    this.sockets.add(socket);
    // What goes wrong on a connection shows in its `close`, and to the request on it.
    socket.on('error', () => undefined).once('close', () => this.sockets.delete(socket));
    this.first.resolve();
    this.giveBack(new DevConnection(socket));
  }
}

/** One connection that the runner opened. */
export class DevConnection {
  private over: Upstream | undefined;

  constructor(readonly socket: net.Socket) {}

  get used(): boolean {
    return this.over !== undefined;
  }

  get sound(): boolean {
    return this.over?.connected ?? !(this.socket.destroyed || this.socket.readableEnded);
  }

  get upstream(): Upstream {
    this.over ??= overSocket(this.socket);
    return this.over;
  }
}
