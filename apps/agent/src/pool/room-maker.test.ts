import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { lease, leased, TestPools } from './pools.fixture.js';

let test: TestPools;
const pool: TestPools['pool'] = (...args) => test.pool(...args);

beforeEach(() => {
  test = new TestPools();
});
afterEach(() => test.stop());

describe('where there is no place', () => {
  it('in the cluster, a node without an instance refuses and one with an instance lets wait', async () => {
    test.slotsLeft = 1;
    const other = pool({}, 'serves', 'other');
    const from = pool();
    const held = await lease(from);
    await expect(other.wait('r').lease).rejects.toMatchObject({ code: 'concurrency_limit' });
    const waiting = from.wait('r2').lease;
    await vi.waitFor(() => expect(from.census.coming).toBe(0));
    held.release();
    (await waiting).release();
  });

  it('in memory, it refuses rather than end a busy instance, and never promises more than there is', async () => {
    const big = pool({ memory: 600 }, 'serves', 'big');
    const held = await lease(big);
    await expect(pool({ memory: 600 }, 'serves', 'other').wait('r').lease).rejects.toMatchObject({ code: 'no_capacity' });
    held.release();
    const freed = await lease(pool({ memory: 600 }, 'serves', 'third'));
    expect(big.census.existing).toBe(0);
    expect(test.pools.capacity.memoryPromised).toBe(600);
    freed.release();
  });

  it('in memory, what had the traffic before makes room first, however lately it was used', async () => {
    const serving = pool({ memory: 400 }, 'serves', 'serving');
    const before = pool({ memory: 400 }, 'serves', 'before');
    await leased(serving);
    await leased(before);
    before.standAs('previous');
    (await lease(pool({ memory: 400 }, 'serves', 'third'))).release();
    expect([serving.census.existing, before.census.existing]).toEqual([1, 0]);
  });

  it('does not start again and again while somebody waits', async () => {
    const from = pool();
    const held = await lease(from);
    test.slotsLeft = 0;
    const waiting = from.wait('r').lease;
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(from.census.ever.created).toBeLessThan(6);
    held.release();
    (await waiting).release();
  });
});
