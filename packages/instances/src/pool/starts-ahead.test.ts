import { until } from '@kiln/testing/until';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { instancesLike } from './instances-to-start.js';
import { lease, leased, many, TestPools } from './pools.fixture.js';

const LONG_MS = 60_000;

let test: TestPools;
const pool: TestPools['pool'] = (...args) => test.pool(...args);

beforeEach(() => {
  test = new TestPools();
});
afterEach(() => test.stop());

describe('a warm-up', () => {
  it('has so many instances ready when it resolves, and no more', async () => {
    const from = pool();
    await leased(from);
    await from.startAhead(8, LONG_MS);
    expect([from.census.now.idle, from.census.existing, test.driver.started]).toEqual([8, 8, 8]);
    for (const each of await many(8, from)) {
      expect(each.waited.start).toBe('warm');
      each.release();
    }
  });

  it('starts a few at a time: others must get in between', async () => {
    const from = pool();
    const warm = from.startAhead(20, LONG_MS);
    expect(from.census.coming).toBe(4);
    await warm;
    expect(from.census.serving).toBe(20);
  });

  it('ends with what there is where the node has no more room', async () => {
    const from = pool({ memory: 300 });
    await from.startAhead(8, LONG_MS);
    expect(from.census.serving).toBe(3);
  });

  it('ends with what there is where the cluster gives no more', async () => {
    test.slotsLeft = 2;
    const from = pool();
    await from.startAhead(8, LONG_MS);
    expect(from.census.serving).toBe(2);
  });

  it('of a version that can’t start ends, and ends once its time is over', async () => {
    await pool({}, 'exits').startAhead(8, LONG_MS);
    const silent = pool({ startTimeout: 200 }, 'silent', 'silent');
    await silent.startAhead(2, 20);
    expect(silent.census.serving).toBe(0);
  });

  it('ends when the pool is closed, and does not begin after that', async () => {
    const from = pool({ startTimeout: 200 }, 'silent');
    const warm = from.startAhead(2, LONG_MS);
    test.pools.close();
    await warm;
    await from.startAhead(2, LONG_MS);
  });

  it('takes no room from what is wanted, but from what had the traffic before', async () => {
    const serving = pool({ memory: 400 }, 'serves', 'serving');
    const before = pool({ memory: 400 }, 'serves', 'before');
    await leased(serving);
    await leased(before);
    const next = pool({ memory: 400 }, 'serves', 'next');
    await next.startAhead(2, LONG_MS);
    expect([serving.census.serving, before.census.serving, next.census.serving]).toEqual([1, 1, 0]);
    before.keepAs('previous');
    await until('a start that was refused may be tried again', async () => {
      await next.startAhead(2, LONG_MS);
      return next.census.serving === 1;
    });
    expect([serving.census.serving, before.census.serving]).toEqual([1, 0]);
  });

  it('does not keep its instances beyond their idle time', async () => {
    const from = pool({ idleTimeout: 100 });
    await from.startAhead(3, LONG_MS);
    await until('they are gone', async () => from.census.existing === 0);
    (await lease(from)).release();
  });
});

describe('as many instances as others', () => {
  const busy = (count: number, concurrency: number, leases = 0) => Array.from({ length: count }, () => ({ concurrency, leases }));

  it.each([
    ['the same number at the same concurrency, whether busy or idle', [...busy(5, 1, 1), ...busy(3, 1)], 1, 8],
    ['the same number where each runs many', busy(3, 50, 7), 50, 3],
    ['fewer where each can do more', busy(8, 1, 1), 100, 1],
    ['one for each request where each can do less', busy(2, 100, 12), 1, 24],
    ['as many as there were where those are idle', busy(2, 100), 1, 2],
    ['none in the place of none', [], 1, 0],
  ])('%s', (_what, serving, concurrency, expected) => {
    expect(instancesLike(serving, concurrency)).toBe(expected);
  });
});
