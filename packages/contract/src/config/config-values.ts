import { z } from 'zod';

/** What a key of the configuration may hold, with the words in which a wrong value is refused: what it must be, and what it is. */
export function whole(what: string, min: number, max = Number.MAX_SAFE_INTEGER) {
  const error = refused(`a whole number${what}, ${max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`}`);
  return z.int(error).min(min, error).max(max, error);
}

export function fraction(what: string, min: number, max: number) {
  const error = refused(`a number${what}, ${min} to ${max}`);
  return z.number(error).min(min, error).max(max, error);
}

export function words(what: string, maxLength: number) {
  return z.string(refused(what)).max(maxLength, `must have at most ${maxLength} characters`);
}

export function oneOf<const Value extends string>(values: readonly Value[]) {
  return z.enum(values, refused(values.map((value) => JSON.stringify(value)).join(' or ')));
}

/** The message for a value that is something else. */
export function refused(what: string): { error(issue: { input?: unknown }): string } {
  return { error: ({ input }) => `must be ${what}, and is ${shown(input)}` };
}

const MAX_SHOWN = 40;

function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (typeof value === 'string') return `the text ${JSON.stringify(value.slice(0, MAX_SHOWN))}`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : String(value);
}
