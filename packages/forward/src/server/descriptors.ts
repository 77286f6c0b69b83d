import { readFileSync } from 'node:fs';

/** Where the system does not say. */
const USUAL_LIMIT = 4096;
/** For the store, the engine, files and programs that this process starts. */
const RESERVE = 128;
/** A control door needs few, and must not be able to take those of the functions. */
const MAX_CONTROL = 1024;
/** More are of no use to one process. */
const MAX_DATA = 20_000;

/** Connections that the two doors may hold: neither takes the other's descriptors, nor all. @param limit of open descriptors */
export function connectionBudget(limit: number = descriptorLimit()): { data: number; control: number } {
  const control = Math.max(16, Math.min(MAX_CONTROL, Math.floor(limit / 16)));
  const left = limit - control - Math.min(RESERVE, Math.floor(limit / 4));
  // What comes in at the data door goes out by another connection.
  return { control, data: Math.max(16, Math.min(MAX_DATA, Math.floor(left / 2))) };
}

/** The soft limit of this process. Node raises it to the hard one when it starts. */
function descriptorLimit(): number {
  try {
    const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
    return limit > 0 ? limit : USUAL_LIMIT;
  } catch {
    // Not Linux.
    return USUAL_LIMIT;
  }
}
