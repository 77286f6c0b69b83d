import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options: { type: 'minor' } | { type: 'major'; flavor: 'last-resort' }) => void;
setFlagsFromString('--no-expose-gc');

/** Collects young objects only: about half a millisecond. */
export function collectYoung(): void {
  collect({ type: 'minor' });
}

/** Collects all that can be, and gives the memory back: tens of milliseconds, for the end of a start. */
export function collectAll(): void {
  collect({ type: 'major', flavor: 'last-resort' });
}
