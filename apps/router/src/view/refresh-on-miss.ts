import { setTimeout as delay } from 'node:timers/promises';
import { SingleFlight } from '@kiln/state/store/single-flight';

/** Requests for what is not known read it anew no more often than that. */
const EVERY_MS = 50;

/** Reads anew, once for all who ask meanwhile. What was acknowledged before is known after it. Never rejects: what is known stays. */
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
