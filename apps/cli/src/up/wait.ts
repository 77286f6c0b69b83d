import { setTimeout as delay } from 'node:timers/promises';

const EVERY_MS = 100;

/** Polls until the question is answered with yes; false when the bound has passed. */
export async function waitUntil(ask: () => boolean | Promise<boolean>, boundMs: number, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + boundMs;
  while (!signal.aborted) {
    if (await ask()) return true;
    if (performance.now() > deadline) return false;
    await delay(EVERY_MS, undefined, { signal }).catch(() => {});
  }
  return false;
}
