import { KilnError } from '@kiln/contract/errors';

/** Parses the text of a `kiln.json`. @param where the name of the file in errors @throws KilnError `bad_request` */
export function parseKilnJson(text: string, where: string): object {
  let content: unknown;
  try {
    content = JSON.parse(text, (_key, entry) => {
      // JSON can escape it, but neither the store nor a file can hold it.
      if (typeof entry === 'string' && !entry.isWellFormed()) throw new Error('a text holds half of a character (a lone surrogate)');
      return entry;
    });
  } catch (error) {
    const fix = 'correct it, or remove it to use the defaults';
    throw new KilnError('bad_request', `${where} is not JSON: ${(error as Error).message}`, { fix });
  }
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content;
  const fix = 'write { "name": "my-function" } there, or remove it to use the defaults';
  throw new KilnError('bad_request', `${where} does not hold an object`, { fix });
}
