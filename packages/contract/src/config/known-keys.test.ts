import { describe, expect, it } from 'vitest';
import { nearest, unknownKeys } from './known-keys.js';

const KEYS = ['name', 'entry', 'handler', 'timeout', 'startTimeout', 'memory', 'cpu', 'env', 'queue', 'maxBody', 'secrets'];

describe('nearest', () => {
  it.each([
    ['nmae', 'name'],
    ['Name', 'name'],
    ['evn', 'env'],
    ['tiemout', 'timeout'],
    ['handlr', 'handler'],
    ['maxbody', 'maxBody'],
    ['secret', 'secrets'],
    ['x', undefined],
    ['runtime', undefined],
    ['', undefined],
  ])('takes %s for %s', (word, meant) => expect(nearest(word, KEYS)).toBe(meant));
});

describe('unknownKeys', () => {
  it('lists what there is for a key that is like none of them', () => {
    expect(unknownKeys({ zzzz: 1 }, ['name', 'env'], 'kiln.json')).toEqual([
      { field: 'kiln.json.zzzz', message: 'is not a known key; there are: name, env' },
    ]);
  });

  it('bears a key of any length', () => {
    expect(unknownKeys({ ['x'.repeat(100_000)]: 1 }, KEYS, 'k')).toHaveLength(1);
  });
});
