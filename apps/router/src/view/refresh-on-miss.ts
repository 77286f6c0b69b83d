import { setTimeout as delay } from 'node:timers/promises';
import { SingleFlight } from '@kiln/state/store/single-flight';

/** Requests for what is not known read it anew no more often than that. */
const EVERY_MS = 50;

/**
 * For requests that miss something: reads it anew, once for all that ask meanwhile. What is acknowledged by then is known after it.
 * Never rejects: while the store is away what is known stays in use.
 */
export function refreshOnMiss(refresh: () => Promise<void>): () => Promise<void> {
  let lastAt = Number.NEGATIVE_INFINITY;
  const flight = new SingleFlight(async () => {
    const early = lastAt + EVERY_MS - performance.now();
    if (early > 0) await delay(early);
    lastAt = performance.now();
    await refresh().catch(() => undefined);
  });
  return () => flight.run();
}
