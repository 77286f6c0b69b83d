import { describe, expect, it } from 'vitest';
import { pageOf } from './page.js';

const versions = (...numbers: number[]) => numbers.map((version) => ({ version }));
const page = (items: { version: number }[], query: object) => {
  const { items: shown, next } = pageOf(items, ({ version }) => version, query);
  return [shown.map(({ version }) => version), next];
};

describe('a list of numbers', () => {
  it('goes on behind an entry that is gone by number, not by text', () => {
    // Version 9 was the last of a page, and is removed before the next one is asked for.
    expect(page(versions(1, 2, 8, 10, 11), { after: '9', limit: '1' })).toEqual([[10], '10']);
    expect(page(versions(2, 10, 100), { after: '5' })).toEqual([[10, 100], null]);
    expect(page(versions(2, 10), { after: '11' })).toEqual([[], null]);
  });

  it('is given page by page, each entry once', () => {
    const all = versions(...Array.from({ length: 25 }, (_, i) => i + 1));
    const seen: number[] = [];
    for (let after: string | null = '0'; after !== null; ) {
      const [numbers, next] = page(all, { after, limit: '4' }) as [number[], string | null];
      seen.push(...numbers);
      after = next;
    }
    expect(seen).toEqual(all.map(({ version }) => version));
  });

  it('refuses a place that is no number', () => {
    expect(() => page(versions(1, 2), { after: 'x' })).toThrow(/query.after/);
  });
});

describe('a list of text', () => {
  it('goes on behind an entry that is gone', () => {
    const items = ['a', 'c', 'd'].map((id) => ({ id }));
    expect(pageOf(items, ({ id }) => id, { after: 'b' }).items).toEqual([{ id: 'c' }, { id: 'd' }]);
  });
});
