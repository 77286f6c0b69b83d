import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { KilnError } from '@kiln/contract/errors';
import { SOCKET_NAME } from '../instance/socket-root.js';
import type { ContainerDriver, ContainerRequest, Exit, RunningContainer } from './container-driver.js';

/** What an image of the fake does: serves, exits at once, never becomes ready, serves and ignores SIGTERM, or is not there. */
export type FakeImage = 'serves' | 'exits' | 'silent' | 'stubborn' | 'missing';

/** Containers that are servers in this process: no engine, and a start takes as long as `startMs` says. */
export class FakeDriver implements ContainerDriver {
  readonly running = new Set<FakeContainer>();
  started = 0;
  /** Functions, in the order in which their containers were asked for. */
  readonly order: string[] = [];
  startMs = 1;
  /** What instances answer, and how many connections one opens; default: as many as it may have leases. */
  answer: http.RequestListener = (_request, response) => response.end('fake');
  dials: number | undefined;

  admit(): void {}

  async start(request: ContainerRequest): Promise<RunningContainer> {
    this.started++;
    this.order.push(request.version.function);
    const image = request.version.image as FakeImage;
    await new Promise((resolve) => setTimeout(resolve, this.startMs));
    if (image === 'missing') throw new KilnError('start_failed', 'the engine cannot start the container: no such image');
    const container = new FakeContainer(request, this.answer, () => this.running.delete(container));
    this.running.add(container);
    if (image === 'exits') {
      request.onOutput('stdout', Buffer.from('bye\n'));
      container.die(3);
    } else if (image === 'serves' || image === 'stubborn') {
      if (image === 'stubborn') request.onOutput('stdout', Buffer.from('deaf\n'));
      await container.serve(this.dials ?? request.version.config.concurrency);
    }
    return container;
  }
}

export class FakeContainer implements RunningContainer {
  readonly id: string;
  readonly address: string | undefined;
  private readonly exit = Promise.withResolvers<Exit>();
  readonly exited = this.exit.promise;
  readonly ended = this.exited.then(() => undefined);
  readonly lackedMemory = false;
  private readonly sockets = new Set<net.Socket>();
  private readonly server: http.Server;

  constructor(
    private readonly request: ContainerRequest,
    answer: http.RequestListener,
    private readonly onGone: () => void,
  ) {
    this.server = http.createServer(answer);
    this.id = `fake-${request.instance}`;
    this.address = request.version.kind === 'http' ? '127.0.0.1' : undefined;
  }

  async serve(dials: number): Promise<void> {
    if (this.request.socketFolder === undefined) {
      await new Promise<void>((resolve) => this.server.listen(this.request.version.config.port, '127.0.0.1', resolve));
      return;
    }
    for (let i = 0; i < dials; i++) this.dial(join(this.request.socketFolder, SOCKET_NAME));
  }

  exitNews(): Promise<Exit | undefined> {
    return this.exited;
  }

  /** As if its main process had ended. */
  die(code: number): void {
    this.server.close();
    this.server.closeAllConnections();
    for (const socket of this.sockets) socket.destroy();
    this.exit.resolve({ code, outOfMemory: false });
  }

  async remove(graceMs: number): Promise<void> {
    const isPatient = this.request.version.image === 'stubborn' && graceMs > 0;
    if (isPatient) this.request.onOutput('stdout', Buffer.from('told\n'));
    if (isPatient) setTimeout(() => this.die(137), graceMs);
    else this.die(137);
    await this.exited;
    this.onGone();
  }

  private dial(path: string): void {
    const socket = net.connect(path, () => this.server.emit('connection', socket));
    this.sockets.add(socket);
    socket.on('error', () => undefined);
  }
}
