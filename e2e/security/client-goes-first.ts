import { readFileSync, writeFileSync } from 'node:fs';

const GROUP = '/proc/self/autogroup';

/**
 * A client is another machine's: what this process waits for the processors, in the session that it is in, is nothing that Kiln does.
 * Returns what makes it as it was.
 */
export function clientGoesFirst(): () => void {
  try {
    const before = /nice (-?\d+)/.exec(readFileSync(GROUP, 'utf8'))?.[1] ?? '0';
    writeFileSync(GROUP, '-15');
    return () => writeFileSync(GROUP, before);
  } catch {
    // Not root, or a system that shares time in another way.
    return () => undefined;
  }
}
