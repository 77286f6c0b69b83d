import type { Page } from '@kiln/contract/api/control-api';
import { parse } from '@kiln/contract/config/field-errors';
import { KilnError } from '@kiln/contract/errors';
import { z } from 'zod';

const paging = z.strictObject({
  limit: z.coerce.number('must be 1 to 1000').int().min(1).max(1000).default(100),
  after: z.string().max(256).optional(),
});

/** What is said of a route that answers with a page of such items, for a query as `pageOf` takes it. */
export function pages(item: z.ZodType) {
  const query = { limit: 'most entries of a page, 1 to 1000', after: '`next` of the page before' };
  return { query, answer: z.object({ items: z.array(item), next: z.string().nullable() }) };
}

/** A page of a list in order of its keys: numbers as numbers, text as text. @throws KilnError `bad_request` for a query that is not one */
export function pageOf<T>(items: readonly T[], keyOf: (item: T) => string | number, query: unknown): Page<T> {
  const { limit, after } = parse(paging, query, 'query');
  const start = after === undefined ? 0 : items.findIndex((item) => String(keyOf(item)) === after) + 1;
  // An entry that is gone says no more where it stood: its place is found by order, and the list goes on from there.
  const from = after !== undefined && start === 0 ? items.findIndex((item) => isBehind(keyOf(item), after)) : start;
  const page = from === -1 ? [] : items.slice(from, from + limit);
  const last = page.at(-1);
  return { items: page, next: last !== undefined && from + limit < items.length ? String(keyOf(last)) : null };
}

function isBehind(key: string | number, after: string): boolean {
  if (typeof key === 'string') return key > after;
  const place = Number(after);
  if (Number.isNaN(place)) throw new KilnError('bad_request', 'query.after must be `next` of a page of this list');
  return key > place;
}
