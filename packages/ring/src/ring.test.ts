import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Ring, type RingNode } from './ring.js';

const nodes = (count: number, weight = 1): RingNode[] => Array.from({ length: count }, (_, i) => ({ id: `node-${i}`, weight }));
const keys = Array.from({ length: 20_000 }, (_, i) => `function-${i}`);
const home = (ring: Ring, key: string) => ring.preference(key, 1)[0]!;

describe('Ring', () => {
  it('answers the same whatever the order of its nodes', () => {
    const ring = Ring.of(nodes(7));
    const reversed = Ring.of(nodes(7).reverse());
    for (const key of keys.slice(0, 2000)) expect(reversed.preference(key)).toEqual(ring.preference(key));
  });

  it('moves only the keys of a node that leaves', () => {
    const all = Ring.of(nodes(10));
    const fewer = Ring.of(nodes(10).filter(({ id }) => id !== 'node-4'));
    let moved = 0;
    for (const key of keys) {
      const before = home(all, key);
      const after = home(fewer, key);
      if (before === after) continue;
      expect(before).toBe('node-4');
      expect(after).toBe(all.preference(key, 2)[1]);
      moved++;
    }
    expect(moved / keys.length).toBeLessThan(0.13);
  });

  it('moves keys only to a node that joins', () => {
    const before = Ring.of(nodes(10));
    const after = Ring.of(nodes(11));
    for (const key of keys) {
      if (home(before, key) !== home(after, key)) expect(home(after, key)).toBe('node-10');
    }
  });

  it('shares keys by weight', () => {
    const ring = Ring.of([
      { id: 'one', weight: 1 },
      { id: 'two', weight: 2 },
      { id: 'half', weight: 0.5 },
    ]);
    const counts = new Map<string, number>();
    for (const key of keys) counts.set(home(ring, key), (counts.get(home(ring, key)) ?? 0) + 1);
    expect(counts.get('one')! / keys.length).toBeCloseTo(2 / 7, 1);
    expect(counts.get('two')! / keys.length).toBeCloseTo(4 / 7, 1);
    expect(counts.get('half')! / keys.length).toBeCloseTo(1 / 7, 1);
  });

  it('spreads names that differ only in a number', () => {
    const counts = new Map<string, number>();
    const ring = Ring.of(nodes(10));
    for (const key of keys) counts.set(home(ring, key), (counts.get(home(ring, key)) ?? 0) + 1);
    const mean = keys.length / 10;
    for (const count of counts.values()) expect(Math.abs(count - mean) / mean).toBeLessThan(0.35);
  });

  it('names every node once, and no more than asked for', () => {
    const ring = Ring.of(nodes(9));
    for (const key of keys.slice(0, 500)) {
      expect(new Set(ring.preference(key)).size).toBe(9);
      expect(ring.preference(key, 3)).toEqual(ring.preference(key).slice(0, 3));
    }
  });

  it('knows no node when it is empty', () => {
    expect(Ring.of([]).preference('hello')).toEqual([]);
  });

  it('refuses a node twice and a weight that is not positive', () => {
    expect(() => Ring.of([...nodes(2), ...nodes(1)])).toThrow('node "node-0" is on the ring twice');
    expect(() => Ring.of([{ id: 'node', weight: 0 }])).toThrow('positive weight');
    expect(() => Ring.of([{ id: 'node', weight: Number.NaN }])).toThrow('positive weight');
  });

  it('agrees with the golden vectors, so that all versions of Kiln agree', () => {
    const golden = JSON.parse(readFileSync(`${import.meta.dirname}/../golden.json`, 'utf8')) as {
      nodes: RingNode[];
      preferences: Record<string, string[]>;
    }[];
    expect(golden.length).toBeGreaterThan(2);
    for (const { nodes: members, preferences } of golden) {
      const ring = Ring.of(members);
      for (const [key, expected] of Object.entries(preferences)) expect(ring.preference(key)).toEqual(expected);
    }
  });
});
