import { setTimeout as delay } from 'node:timers/promises';

const EVERY_MS = 20;

/**
 * Polls until `probe` gives a value other than undefined, false or an error.
 * @throws Error that names `what`, with the last error as its cause
 */
export async function until<T>(what: string, probe: () => T | Promise<T>, timeoutMs = 30_000): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  do {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await delay(EVERY_MS);
  } while (performance.now() < deadline);
  throw new Error(`not within ${timeoutMs} ms: ${what}${last instanceof Error ? ` (${last.message})` : ''}`, { cause: last });
}
