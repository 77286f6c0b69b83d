import { expect, it } from 'vitest';
import type { Call } from './call.js';
import { UnderWay } from './under-way.js';

it('keeps the calls under way, whichever ends first, and each end counts once', () => {
  const underWay = new UnderWay();
  const calls = Array.from({ length: 4 }, () => ({ place: -1 }) as Call);
  for (const call of calls) underWay.add(call);
  const [first, second, third, last] = calls as [Call, Call, Call, Call];
  for (const ended of [second, second, last]) underWay.delete(ended);
  expect(new Set(underWay)).toEqual(new Set([first, third]));
  expect(underWay.size).toBe(2);
  const other = new UnderWay();
  other.delete(first);
  other.add(second);
  underWay.delete(second);
  expect([[...underWay].length, [...other]]).toEqual([2, [second]]);
});
