import { collectYoung } from './garbage.js';

/**
 * V8 starts collections by the number of small objects it has made, not by the size of the buffers that hang on them: a fast
 * stream leaves over 100 MB of dead 64 KiB buffers behind before it looks. One short collection of young objects per so many
 * streamed bytes keeps what a stream of any length takes within bounds.
 */
const COLLECT_EVERY_BYTES = 8 * 1024 * 1024;

let passed = 0;

/** Counts bytes of a body that are passing through. */
export function countPassing(bytes: number): void {
  passed += bytes;
  if (passed < COLLECT_EVERY_BYTES) return;
  passed = 0;
  collectYoung();
}
