import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import net from 'node:net';
import { CONNECTION } from '@kiln/contract/wire/headers';
import type { WorkEnd } from './handler/work-end.js';

const RETRY_MS = 50;
const GIVE_UP_MS = 5000;

/** By which the agent knows a connection; it says so with the first request. */
const NUMBER = Symbol('number');
/** Who has the state of the last handler on it. */
const CARRIER = Symbol('carrier');

type AgentSocket = net.Socket & { [NUMBER]?: string; [CARRIER]?: ServerResponse | net.Socket };

export interface DialInOptions {
  socketPath: string;
  /** Never more connections than this. */
  concurrency: number;
  workEnd: Pick<WorkEnd, 'say'>;
  /** The agent's socket could not be reached for 5 s. */
  onUnreachable(): void;
}

/**
 * Serves HTTP on connections that it opens itself to the agent's socket, one request at a time on each. There is always an
 * idle one beyond the busy ones, up to `concurrency`; as many as the busy ones while those are many, so that a burst does
 * not wait for one connection after another.
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
    // Before the function sees it.
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

  #begin(request: IncomingMessage, carrier: ServerResponse | net.Socket): void {
    const socket = request.socket as AgentSocket;
    if (socket[NUMBER] === undefined) introduce(request, socket);
    socket[CARRIER] = carrier;
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
    // Whether the process has anything left to do is for the function's own work to decide: see Unanswered.
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

  /** One that lived is replaced at once; one that did not waits, lest an agent that is going away be asked without pause. */
  #lost(socket: AgentSocket, connectedAt: number | undefined): void {
    if (socket[NUMBER] !== undefined) this.options.workEnd.say(socket[NUMBER], socket[CARRIER]);
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

/** Takes the connection's number out of its first request: a function sees nothing of it. */
function introduce(request: IncomingMessage, socket: AgentSocket): void {
  const number = request.headers[CONNECTION];
  if (typeof number !== 'string') return;
  socket[NUMBER] = number;
  delete request.headers[CONNECTION];
  const at = request.rawHeaders.findIndex((name, i) => i % 2 === 0 && name === CONNECTION);
  request.rawHeaders.splice(at, 2);
}
