import { readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Nine times the processor time of a process, or of a session, at 0 that wants it as well. */
const NICE = -10;

/**
 * Calls pass through this process: where the processors have no time left, it goes before functions and what starts them. Linux shares
 * time between sessions first (autogroup, sched(7)), and a nice value counts within one. Without the right to it nothing changes.
 */
export function goFirst(): void {
  quietly(() => setPriority(NICE));
  if (ownsItsSession()) quietly(() => writeFileSync('/proc/self/autogroup', String(NICE)));
}

/** For a child of a process that goes first, which must not keep its parent waiting. */
export function goAsOthers(pid: number): void {
  quietly(() => setPriority(pid, 0));
}

/** A session that was not made for this process holds others as well, a user's shell for one. */
function ownsItsSession(): boolean {
  try {
    const session = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ')[3];
    return session === String(process.pid);
  } catch {
    return false;
  }
}

function quietly(action: () => void): void {
  try {
    action();
  } catch {
    // Not allowed, not that kind of system, or a child that has ended.
  }
}
