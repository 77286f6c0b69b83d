import type { ServerResponse } from 'node:http';

/** An async handler that has ended may have asked for its answer without waiting for it, as `res.sendFile` allows. */
const ENDED_GRACE_MS = 1000;

/** What a handler did without answering: `returned` no promise, or one that `resolved`. */
export type Ending = 'returned' | 'resolved';

/**
 * Gives an empty 200 where a handler ended without answering and nothing else will. The runner's own sockets do not keep
 * the process alive, a timer of its own does; while a response waits here that timer is let go as well, so Node announces
 * `beforeExit` exactly when nothing is left that could still answer: no timer, no file, no connection, no job in the
 * thread pool. With something left, a handler that resolved gets a little more time; one that returned waits for its
 * answer or its timeout.
 */
export class Unanswered {
  readonly #waiting = new Set<ServerResponse>();
  readonly #callbacks = new Set<() => void>();
  readonly #hold = setInterval(() => {}, 2 ** 30);

  /** @param concurrency with more than one request at a time, another may answer what a handler that returned left open */
  constructor(private readonly concurrency: number) {
    process.on('beforeExit', () => {
      this.#hold.ref();
      for (const response of this.#waiting) answerEmpty(response);
      for (const callback of this.#callbacks) callback();
      this.#callbacks.clear();
    });
  }

  /** Calls back once, when nothing is left that could still do anything; not after the returned function was called. */
  whenNothingIsLeft(callback: () => void): () => void {
    this.#callbacks.add(callback);
    this.#hold.unref();
    return () => {
      this.#callbacks.delete(callback);
      this.#holdOn();
    };
  }

  wait(response: ServerResponse, ending: Ending): void {
    if (ending === 'returned' && this.concurrency > 1) return;
    this.#waiting.add(response);
    this.#hold.unref();
    const grace = ending === 'resolved' ? setTimeout(answerEmpty, ENDED_GRACE_MS, response).unref() : undefined;
    response.once('close', () => {
      clearTimeout(grace);
      this.#waiting.delete(response);
      this.#holdOn();
    });
  }

  #holdOn(): void {
    if (this.#waiting.size === 0 && this.#callbacks.size === 0) this.#hold.ref();
  }
}

function answerEmpty(response: ServerResponse): void {
  if (!response.headersSent && !response.writableEnded && !response.destroyed) response.end();
}
