import type { ServerResponse } from 'node:http';

/** An async handler may end before its response does, as with `res.sendFile`. */
const ENDED_GRACE_MS = 1000;

/** How a handler ended without a response: it `returned` no promise, or its promise `resolved`. */
export type Ending = 'returned' | 'resolved';

/**
 * Sends an empty 200 where a handler ended without a response and nothing else will respond. Only a timer of the runner keeps the
 * process alive, not its sockets. While a response waits here, that timer does not count either, so Node emits `beforeExit` exactly when
 * nothing is left that could respond: no timer, no file, no connection, no job in the thread pool. With something left, a handler that
 * resolved gets one second more; a handler that returned waits for its response or its timeout.
 */
export class Unanswered {
  readonly #waiting = new Set<ServerResponse>();
  readonly #callbacks = new Set<() => void>();
  readonly #hold = setInterval(() => {}, 2 ** 30);

  /** @param concurrency above 1, the work of another request may still end the response of a handler that returned */
  constructor(private readonly concurrency: number) {
    process.on('beforeExit', () => {
      this.#hold.ref();
      for (const response of this.#waiting) answerEmpty(response);
      for (const callback of this.#callbacks) callback();
      this.#callbacks.clear();
    });
  }

  /** Calls back once, when nothing is left that could still work. The returned function cancels the callback. */
  whenNothingIsLeft(callback: () => void): () => void {
    this.#callbacks.add(callback);
    this.#hold.unref();
    return () => {
      this.#callbacks.delete(callback);
      this.#holdOn();
    };
  }

  readonly wait = (response: ServerResponse, ending: Ending): void => {
    if (ending === 'returned' && this.concurrency > 1) return;
    this.#waiting.add(response);
    this.#hold.unref();
    const grace = ending === 'resolved' ? setTimeout(answerEmpty, ENDED_GRACE_MS, response).unref() : undefined;
    response.once('close', () => {
      clearTimeout(grace);
      this.#waiting.delete(response);
      this.#holdOn();
    });
  };

  #holdOn(): void {
    if (this.#waiting.size === 0 && this.#callbacks.size === 0) this.#hold.ref();
  }
}

function answerEmpty(response: ServerResponse): void {
  if (!response.headersSent && !response.writableEnded && !response.destroyed) response.end();
}
