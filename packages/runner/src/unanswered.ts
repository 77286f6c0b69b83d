import type { ServerResponse } from 'node:http';

/**
 * Tells when a handler that returned without answering never will. The runner's own sockets do not keep the process
 * alive, a timer of its own does; while a response waits here that timer is let go as well, so Node announces
 * `beforeExit` exactly when nothing is left that could still answer: no timer, no file, no connection, no job in the
 * thread pool. With something left, the request waits for its answer or its timeout.
 */
export class Unanswered {
  readonly #waiting = new Set<ServerResponse>();
  readonly #hold = setInterval(() => {}, 2 ** 30);

  constructor(private readonly answer: (response: ServerResponse) => void) {
    process.on('beforeExit', () => this.#answerAll());
  }

  wait(response: ServerResponse): void {
    this.#waiting.add(response);
    this.#hold.unref();
    response.once('close', () => this.#forget(response));
  }

  #forget(response: ServerResponse): void {
    this.#waiting.delete(response);
    if (this.#waiting.size === 0) this.#hold.ref();
  }

  #answerAll(): void {
    this.#hold.ref();
    for (const response of this.#waiting) if (!response.headersSent && !response.writableEnded) this.answer(response);
  }
}
