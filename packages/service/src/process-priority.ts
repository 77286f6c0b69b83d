import { readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Gives nine times the processor time of a process or session at 0. */
const NICE = -10;

/**
 * Raises the priority of this process above functions and builds, since every call passes through it. Linux shares processor time
 * between sessions first (autogroup, sched(7)), and the nice value counts only within a session. Without the right, nothing changes.
 */
export function raisePriority(): void {
  quietly(() => setPriority(NICE));
  if (ownsItsSession()) quietly(() => writeFileSync('/proc/self/autogroup', String(NICE)));
}

/** Gives a child of such a process the normal priority, so that it does not slow its parent. */
export function resetPriority(pid: number): void {
  quietly(() => setPriority(pid, 0));
}

/** True when this process leads its session: other sessions contain other processes too, a user's shell for example. */
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
    // No right, another kind of system, or the child has ended.
  }
}
