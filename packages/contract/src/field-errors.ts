import type { z } from 'zod';
import { type FieldError, KilnError } from './errors.js';

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

/**
 * Validates what came from outside.
 * @throws KilnError `bad_request` naming each wrong field.
 */
export function parse<T extends z.ZodType>(schema: T, input: unknown, where = ''): z.output<T> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const fields = fieldErrors(parsed.error, where);
  const detail = fields.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`)).join('; ');
  throw new KilnError('bad_request', detail, { fields });
}
