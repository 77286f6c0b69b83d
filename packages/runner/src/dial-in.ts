import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import net from 'node:net';
import { CONNECTION } from '@kiln/contract/wire/headers';
import type { WorkEnd } from './handler/work-end.js';

const RETRY_MS = 50;
const GIVE_UP_MS = 5000;

/** The agent's number of a connection, which comes with the first request. */
const NUMBER = Symbol('number');
/** The response or the upgraded socket of the last request on a connection; the state of its handler is kept there. */
const LAST_ANSWER = Symbol('last answer');

type AgentSocket = net.Socket & { [NUMBER]?: string; [LAST_ANSWER]?: ServerResponse | net.Socket };

export interface DialInOptions {
  socketPath: string;
  /** Never more connections than this. */
  concurrency: number;
  workEnd: Pick<WorkEnd, 'report'>;
  /** The agent's socket could not be reached for 5 s. */
  onUnreachable(): void;
}

/**
 * Serves HTTP on connections that it opens itself to the agent's socket, one request at a time on each. It keeps as many idle connections
 * as busy ones, and at least one, up to `concurrency` in all: so a burst does not wait for one connection after another.
 */
export class RunnerDialIn {
  readonly #connections = new Set<net.Socket>();
  readonly #busy = new Set<net.Socket>();
  #unreachableSince: number | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly server: Server,
    private readonly options: DialInOptions,
  ) {
    // Runs before the function sees the request.
    server.prependListener('request', (request, response) => {
      const { socket } = request;
      this.#begin(request, response);
      response.once('close', () => this.#busy.delete(socket));
    });
    server.prependListener('upgrade', (request) => this.#begin(request, request.socket));
  }

  start(): void {
    this.#fill();
  }

  #begin(request: IncomingMessage, answer: ServerResponse | net.Socket): void {
    const socket = request.socket as AgentSocket;
    if (socket[NUMBER] === undefined) takeNumber(request, socket);
    socket[LAST_ANSWER] = answer;
    this.#busy.add(socket);
    this.#fill();
  }

  #fill(): void {
    if (this.#retry !== undefined) return;
    const wanted = Math.min(this.options.concurrency, this.#busy.size + Math.max(1, this.#busy.size));
    while (this.#connections.size < wanted) this.#open();
  }

  #open(): void {
    const socket = net.connect(this.options.socketPath);
    // Only the function's own work keeps the process alive: see Unanswered.
    socket.unref();
    this.#connections.add(socket);
    let connectedAt: number | undefined;
    socket.on('error', (error) => socket.destroy(error));
    socket.once('connect', () => {
      connectedAt = performance.now();
      this.#unreachableSince = undefined;
      this.server.emit('connection', socket);
    });
    socket.once('close', () => this.#lost(socket, connectedAt));
  }

  /** Replaces a connection that lived at once. One that failed is retried after a pause, because the agent may be shutting down. */
  #lost(socket: AgentSocket, connectedAt: number | undefined): void {
    if (socket[NUMBER] !== undefined) this.options.workEnd.report(socket[NUMBER], socket[LAST_ANSWER]);
    this.#connections.delete(socket);
    this.#busy.delete(socket);
    const now = performance.now();
    if (connectedAt !== undefined && now - connectedAt > RETRY_MS) {
      this.#fill();
      return;
    }
    if (this.#connections.size === 0) this.#unreachableSince ??= now;
    if (this.#unreachableSince !== undefined && now - this.#unreachableSince >= GIVE_UP_MS) this.options.onUnreachable();
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#fill();
    }, RETRY_MS);
  }
}

/** Takes the connection's number out of its first request, so that the function does not see it. */
function takeNumber(request: IncomingMessage, socket: AgentSocket): void {
  const number = request.headers[CONNECTION];
  if (typeof number !== 'string') return;
  socket[NUMBER] = number;
  delete request.headers[CONNECTION];
  const at = request.rawHeaders.findIndex((name, i) => i % 2 === 0 && name === CONNECTION);
  request.rawHeaders.splice(at, 2);
}
