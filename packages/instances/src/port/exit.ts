import { KilnError } from '@kiln/contract/errors';
import type { Exit } from './container-driver.js';

/** V8 gives up with an abort: 134 under an init process, 139 without; the kernel's kill shows as 137. */
const MEMORY_CODES: ReadonlySet<number> = new Set([134, 137, 139]);
const HEAP_FULL = /heap out of memory|allocation failed|MemoryError|OutOfMemoryError/i;
const SIGKILL_CODE = 137;
export const OUT_OF_MEMORY_FIX = 'raise "memory" in kiln.json';

/** True where the process died of memory: by the kernel, or by a runtime that said so last. */
export function ranOutOfMemory(exit: Exit, lastLines: readonly string[]): boolean {
  if (exit.outOfMemory && exit.code !== 0) return true;
  return MEMORY_CODES.has(exit.code) && lastLines.some((line) => HEAP_FULL.test(line));
}

/** A sentence for the caller and the operator. */
export function describeExit(exit: Exit, lastLines: readonly string[], memory: number): string {
  if (ranOutOfMemory(exit, lastLines)) return `the process ran out of memory (limit ${memory} MB, exit code ${exit.code})`;
  if (exit.code === SIGKILL_CODE) return 'the process was killed (exit code 137)';
  return `the process exited with code ${exit.code}`;
}

/** The error of requests that were in an instance when it ended. */
export function crashed(exit: Exit, lastLines: readonly string[], memory: number): KilnError {
  const outOfMemory = ranOutOfMemory(exit, lastLines);
  return new KilnError('function_crashed', describeExit(exit, lastLines, memory), {
    fix: outOfMemory ? OUT_OF_MEMORY_FIX : 'kiln logs shows what the function wrote last',
  });
}

/** What an instance wrote last, as part of an error's detail. */
export function withLastLines(detail: string, lastLines: readonly string[]): string {
  return lastLines.length === 0 ? `${detail}; it wrote nothing` : `${detail}; its last log lines:\n${lastLines.join('\n')}`;
}
