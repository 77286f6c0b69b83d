import { distance } from 'fastest-levenshtein';
import type { FieldError } from '../errors.js';

const MAX_CHARS = 64;
/** More are not looked at: to find the word that was meant takes time. */
const MAX_UNKNOWN = 20;

/** The keys of an object that nobody knows, each with the one that was meant, where one is near. */
export function unknownKeys(input: object, known: readonly string[], where: string): FieldError[] {
  return Object.keys(input)
    .filter((key) => !known.includes(key))
    .slice(0, MAX_UNKNOWN)
    .map((key) => ({ field: `${where}.${key}`, message: `is not a known key; ${advice(key, known)}` }));
}

function advice(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  return meant === undefined ? `there are: ${known.join(', ')}` : `did you mean "${meant}"?`;
}

/** The known word that a typing mistake or two turn into this one; undefined where none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const clipped = word.slice(0, MAX_CHARS);
  const far = (candidate: string) => mistakes(clipped.toLowerCase(), candidate.toLowerCase());
  const best = known.reduce<string | undefined>((best, key) => (best === undefined || far(key) < far(best) ? key : best), undefined);
  return best !== undefined && far(best) <= Math.max(1, Math.ceil(best.length / 3)) ? best : undefined;
}

/** As the edit distance has it, but two neighbours in each other's place are one mistake, not two. */
function mistakes(a: string, b: string): number {
  let least = distance(a, b);
  for (let i = 0; i + 1 < a.length; i += 1) {
    if (a[i] === a[i + 1]) continue;
    least = Math.min(least, 1 + distance(`${a.slice(0, i)}${a[i + 1]}${a[i]}${a.slice(i + 2)}`, b));
  }
  return least;
}
