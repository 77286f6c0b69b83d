import { KilnError } from '@kiln/contract/errors';

/**
 * A JSON body; undefined for an empty one.
 * @throws KilnError `bad_request` for what is not JSON, for halves of characters, which no store keeps, and for `__proto__`, which would change what the object inherits when copied
 */
export function readJson(text: string): unknown {
  if (text === '') return undefined;
  let poisoned = false;
  let torn = false;
  let value: unknown;
  try {
    value = JSON.parse(text, (key, entry) => {
      if (key === '__proto__') poisoned = true;
      if (!key.isWellFormed() || (typeof entry === 'string' && !entry.isWellFormed())) torn = true;
      return entry;
    });
  } catch (error) {
    throw new KilnError('bad_request', `the body is not JSON: ${withoutQuote(error instanceof Error ? error.message : String(error))}`);
  }
  if (torn) throw new KilnError('bad_request', 'a text of the body holds half of a character (a lone surrogate)');
  if (!poisoned) return value;
  throw new KilnError('bad_request', '__proto__: is no key', { fields: [{ field: '__proto__', message: 'is no key' }] });
}

/** The engine quotes what it read, which may be somebody's secret. */
function withoutQuote(message: string): string {
  return message.replace(/, (\.\.\.)?".*$/s, '');
}
