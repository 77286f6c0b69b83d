import { KilnError } from '@kiln/contract/errors';
import { statusOf } from '@kiln/engine/engine-error';
import { Refusal } from '@kiln/instances/port/refusal';
import { diskFull, isDiskFull } from '../images/disk-full.js';

/** Bounds a request to the engine: aborts it after `timeoutMs`. */
export async function within<T>(what: string, timeoutMs: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(noAnswer(`the engine did not ${what} within ${timeoutMs} ms`));
      controller.abort();
    }, timeoutMs);
  });
  const answer = call(controller.signal);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    answer.catch(() => undefined);
  }
}

/** An engine that answers other requests gets so many bounds for one request. */
const BOUNDS = 4;

export interface EnginePatience {
  /** ms */
  boundMs: number;
  /** Whether the engine answers a simple request; ends within a bound. */
  answers(): Promise<boolean>;
}

/** As `within`, but waits longer for an engine that answers other requests: on a slow or busy machine a start takes long. */
export function whileAnswering<T>(what: string, patience: EnginePatience, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { boundMs, answers } = patience;
  return within(what, BOUNDS * boundMs, (signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const silent = new AbortController();
    const ask = setInterval(async () => {
      if (await answers()) return;
      reject(noAnswer(`the engine did not ${what} within ${boundMs} ms, nor does it answer otherwise`));
      silent.abort();
    }, boundMs);
    call(AbortSignal.any([signal, silent.signal])).then(resolve, reject);
    const end = () => clearInterval(ask);
    promise.then(end, end);
    signal.addEventListener('abort', end, { once: true });
    return promise;
  });
}

/** Makes a domain error of a failed request: the engine refused this version, or does not answer at all. */
export function engineFault(what: string, error: unknown): KilnError {
  if (error instanceof KilnError) return error;
  const message = (error as Error).message.trim();
  if (statusOf(error) === undefined) return noAnswer(`the engine cannot ${what}: ${message}`, error);
  if (isDiskFull(error)) return diskFull(`the engine cannot ${what}`, error);
  return new KilnError('start_failed', `the engine cannot ${what}: ${message}`, { cause: error });
}

/** The engine is down or hangs: no fault of the version. */
export function noAnswer(detail: string, cause?: unknown): Refusal {
  return new Refusal('no_capacity', detail, { cause, fix: 'docker info shows whether the engine answers' });
}
