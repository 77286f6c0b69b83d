import type { z } from 'zod';
import { type FieldError, KilnError } from '../errors.js';

const MAX_FIELDS = 20;
const MAX_CHARS = 500;

/** Zod's issues as one line per field, the field's path written as a user would: `traffic[1].weight`. */
export function fieldErrors(error: z.ZodError, where = ''): FieldError[] {
  return error.issues.map((issue) => ({
    field: issue.path.reduce<string>(
      (path, part) => (typeof part === 'number' ? `${path}[${part}]` : path === '' ? String(part) : `${path}.${String(part)}`),
      where,
    ),
    // Of a key that may not be one, what is wrong with it.
    message: issue.code === 'invalid_key' ? `can't be a name: it ${issue.issues[0]?.message}` : issue.message,
  }));
}

/** Validates what came from outside. @throws KilnError `bad_request` naming each wrong field. */
export function parse<T extends z.ZodType>(schema: T, input: unknown, where = '', between = ': '): z.output<T> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw invalidFields(fieldErrors(parsed.error, where), between);
}

/** The error that names them, and no more of them than somebody reads: what comes from outside must not make a large answer. */
export function invalidFields(all: readonly FieldError[], between = ' '): KilnError {
  const fields = all.slice(0, MAX_FIELDS).map(({ field, message }) => ({ field: clipped(field), message: clipped(message) }));
  const texts = fields.map(({ field, message }) => (field === '' ? message : `${field}${between}${message}`));
  if (all.length > MAX_FIELDS) texts.push(`and ${all.length - MAX_FIELDS} more`);
  return new KilnError('bad_request', texts.join('; '), { fields });
}

function clipped(text: string): string {
  return text.length <= MAX_CHARS ? text : `${text.slice(0, MAX_CHARS)}…`;
}
