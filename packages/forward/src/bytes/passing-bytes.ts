import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
/** Collects all garbage, or that of young objects, which takes about half a millisecond. */
export const collectGarbage = runInNewContext('gc') as (options?: { type: 'minor' }) => void;
setFlagsFromString('--no-expose-gc');

/**
 * V8 collects by the number of small objects, not by the size of their buffers: a fast stream leaves over 100 MB of dead buffers behind.
 * One short collection of young objects per so many streamed bytes bounds what a stream of any length takes.
 */
const COLLECT_EVERY_BYTES = 8 * 1024 * 1024;

let passed = 0;

/** Counts bytes of a body that are passing through. */
export function countPassing(bytes: number): void {
  passed += bytes;
  if (passed < COLLECT_EVERY_BYTES) return;
  passed = 0;
  collectGarbage({ type: 'minor' });
}
