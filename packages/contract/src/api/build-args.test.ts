import { describe, expect, it } from 'vitest';
import { buildArgsQuery } from './build-args.js';

describe('buildArgsQuery', () => {
  it('reads an object of strings', () => {
    expect(buildArgsQuery.parse('{"A_1":"x y","B":""}')).toEqual({ A_1: 'x y', B: '' });
  });

  it.each(['', '[]', '{"A":1}', '{"A B":"x"}', '{"1":"x"}', '{"A":"x\\ny"}', `{"A":"${'x'.repeat(5000)}"}`])('refuses %j', (text) => {
    expect(buildArgsQuery.safeParse(text).success).toBe(false);
  });
});
