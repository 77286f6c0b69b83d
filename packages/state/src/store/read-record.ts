import { KilnError } from '@kiln/contract/errors';
import { isOfLaterSchema } from '@kiln/contract/stored';
import type { z } from 'zod';
import type { Store } from './store.js';

const REMEMBERED = 200;

/** Broken records that were reported before. Each process reads the store every 2 s, and would report them each time. */
const reported = new Set<string>();

/** Parses a stored record. Gives undefined, and reports it once, if the text does not fit the schema. */
export function readRecord<T extends z.ZodType>(store: Store, schema: T, raw: unknown, where: string): z.output<T> | undefined {
  if (typeof raw !== 'string') return undefined;
  const parsed = schema.safeParse(fromJson(raw));
  if (parsed.success) return parsed.data;
  const seen = `${where} ${raw}`.slice(0, 1000);
  if (!reported.has(seen)) {
    if (reported.size >= REMEMBERED) reported.clear();
    reported.add(seen);
    const why = parsed.error.issues.map(({ message }) => message).join('; ');
    store.report(new Error(`a record at ${where} can not be read and is not used here: ${why}`));
  }
  return undefined;
}

/** The same for a caller that writes the record back. @throws KilnError `conflict` for one that this version does not understand in full */
export function readForChange<T extends z.ZodType<{ schema?: number | undefined }>>(
  store: Store,
  schema: T,
  raw: unknown,
  where: string,
): z.output<T> | undefined {
  const record = readRecord(store, schema, raw, where);
  if (typeof raw !== 'string' || (record !== undefined && !isOfLaterSchema(record))) return record;
  throw new KilnError('conflict', `the record at ${where} is not one that this version of Kiln can change: a later one wrote it`, {
    fix: 'upgrade every router and agent, then try again',
  });
}

export function readRecords<T extends z.ZodType>(store: Store, schema: T, hash: unknown, where: string): z.output<T>[] {
  return Object.entries(hash as Record<string, string>)
    .map(([field, raw]) => readRecord(store, schema, raw, `${where} ${field}`))
    .filter((record) => record !== undefined);
}

/** Reads a record whose form is unknown: each key may be missing or of another type. */
export function readLoosely(raw: string): Record<string, unknown> {
  const value = fromJson(raw);
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
