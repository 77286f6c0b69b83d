import { KilnError } from '@kiln/contract/errors';

interface Queue {
  running: number;
  waiting: (() => void)[];
}

/** Turns for each key: `width` of them run at a time, the others wait in the order in which they came. */
export class Turns {
  private readonly queues = new Map<string, Queue>();

  /** @param maxWaiting for each key; one more is refused */
  constructor(
    private readonly width: number,
    private readonly maxWaiting = Number.POSITIVE_INFINITY,
  ) {}

  /**
   * Resolves when it is the caller's turn, with the function that ends the turn.
   * @param onWait called at once with the number of turns before this one, where it has to wait
   * @throws KilnError `concurrency_limit` where too many wait; the signal's reason
   */
  async enter(key: string, signal: AbortSignal, onWait: (before: number) => void): Promise<() => void> {
    signal.throwIfAborted();
    const queue = this.queues.get(key) ?? { running: 0, waiting: [] };
    this.queues.set(key, queue);
    if (queue.running < this.width) queue.running++;
    else if (queue.waiting.length >= this.maxWaiting) {
      throw new KilnError('concurrency_limit', `${this.maxWaiting} wait already for "${key}"`, { fix: 'try again when they are done' });
    } else {
      onWait(queue.running + queue.waiting.length);
      await waitIn(queue, signal);
    }
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.leave(key, queue);
    };
  }

  private leave(key: string, queue: Queue): void {
    const next = queue.waiting.shift();
    if (next === undefined) queue.running--;
    else next();
    if (queue.running === 0) this.queues.delete(key);
  }
}

/** A waiter whose signal aborts gives its place away at once. */
function waitIn({ waiting }: Queue, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = () => {
      waiting.splice(waiting.indexOf(enter), 1);
      reject(signal.reason);
    };
    const enter = () => {
      signal.removeEventListener('abort', cancel);
      resolve();
    };
    waiting.push(enter);
    signal.addEventListener('abort', cancel, { once: true });
  });
}
