import { ServerResponse } from 'node:http';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { whenHandlerSettled } from './handler-state.js';
import type { Unanswered } from './unanswered.js';

/** Beside the agent's socket; an agent of an earlier version has none. */
const WORK_SOCKET_NAME = 'work.sock';

/** Tells the agent that the work on a connection has ended which was closed before, so that it may give the next request. */
export class WorkEnd {
  readonly #socket: net.Socket;

  /** @param concurrency with more than one request at a time, one that only a callback could still work on counts as ended */
  constructor(
    agentSocket: string,
    private readonly concurrency: number,
    private readonly unanswered: Unanswered,
  ) {
    this.#socket = net.connect(join(dirname(agentSocket), WORK_SOCKET_NAME));
    // Without it the agent goes by the clock.
    this.#socket.on('error', () => undefined);
    this.#socket.unref();
  }

  /** @param carrier the response of the last request on that connection, or the socket of an upgrade */
  say(connection: string, carrier: object | undefined): void {
    this.#whenEnded(carrier, () => {
      if (this.#socket.writable) this.#socket.write(`ended ${connection}\n`);
    });
  }

  #whenEnded(carrier: object | undefined, callback: () => void): void {
    if (carrier === undefined) {
      callback();
      return;
    }
    whenHandlerSettled(carrier, (settled) => {
      const open = settled === 'left open' && this.concurrency === 1 && carrier instanceof ServerResponse && !carrier.writableEnded;
      if (open) this.#whenAnswerEnded(carrier, callback);
      else callback();
    });
  }

  /** A callback is at work until it ends its answer, which nobody gets any more; or until nothing is left in this process that could. */
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
