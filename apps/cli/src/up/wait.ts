import { setTimeout as delay } from 'node:timers/promises';

const EVERY_MS = 100;

/** Polls until `ask` returns true. False when the time is over or the signal aborts. */
export async function waitUntil(ask: () => boolean | Promise<boolean>, isOver: () => boolean, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    if (await ask()) return true;
    if (isOver()) return false;
    await delay(EVERY_MS, undefined, { signal }).catch(() => {});
  }
  return false;
}
