import { ServerResponse } from 'node:http';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { whenHandlerSettled } from './handler-state.js';
import type { Unanswered } from './unanswered.js';

/** Beside the agent's socket; an agent of an earlier version has none. */
const WORK_SOCKET_NAME = 'work.sock';

/** Reports to the agent that the work for a closed connection has ended, so that the agent may send the next request. */
export class WorkEnd {
  readonly #socket: net.Socket;

  /** @param concurrency above 1, a request on which only a callback can still work counts as ended */
  constructor(
    agentSocket: string,
    private readonly concurrency: number,
    private readonly unanswered: Unanswered,
  ) {
    this.#socket = net.connect(join(dirname(agentSocket), WORK_SOCKET_NAME));
    // Without this connection the agent waits for a fixed time.
    this.#socket.on('error', () => undefined);
    this.#socket.unref();
  }

  /** @param answer the response of the last request on that connection, or the socket of an upgrade */
  report(connection: string, answer: object | undefined): void {
    const ended = () => {
      if (this.#socket.writable) this.#socket.write(`ended ${connection}\n`);
    };
    if (answer === undefined) ended();
    else
      whenHandlerSettled(answer, (settled) => {
        const open = settled === 'left open' && this.concurrency === 1 && answer instanceof ServerResponse && !answer.writableEnded;
        if (open) this.#whenAnswerEnded(answer, ended);
        else ended();
      });
  }

  /** Waits until a callback ends the response, which nobody receives any more, or until nothing is left in this process that could. */
  #whenAnswerEnded(response: ServerResponse, callback: () => void): void {
    const forget = this.unanswered.whenNothingIsLeft(callback);
    const end = response.end.bind(response) as (...values: unknown[]) => ServerResponse;
    response.end = ((...values: unknown[]) => {
      forget();
      callback();
      return end(...values);
    }) as ServerResponse['end'];
  }
}
