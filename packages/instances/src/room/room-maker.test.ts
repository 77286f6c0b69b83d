import { KilnError } from '@kiln/contract/errors';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { InstancePool } from '../pool/instance-pool.js';
import { lease, leased, many, TestPools } from '../pool/pools.fixture.js';

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

  it('in the cluster while no node that holds one takes calls, who waits gets the slot of the dead one, and no 429', async () => {
    test.slotsLeft = 0;
    test.noSlot = 'passing';
    const from = pool({ maxInstances: 1 });
    const waiting = from.wait('r').lease;
    await vi.waitFor(() => expect(from.census.ever.failed).toBeGreaterThan(0));
    test.slotsLeft = 1;
    (await waiting).release();
  });

  it('in memory, it refuses at once where another node has room, and never promises more than there is', async () => {
    test.roomElsewhere = true;
    const big = pool({ memory: 600 }, 'serves', 'big');
    const held = await lease(big);
    await expect(pool({ memory: 600 }, 'serves', 'other').wait('r').lease).rejects.toMatchObject({ code: 'no_capacity' });
    held.release();
    const freed = await lease(pool({ memory: 600 }, 'serves', 'third'));
    expect(big.census.existing).toBe(0);
    expect(test.pools.capacity.memoryPromised).toBe(600);
    freed.release();
  });

  it('in memory, and nowhere else, a call waits for an instance to become idle rather than be refused', async () => {
    const held = await lease(pool({ memory: 600 }, 'serves', 'big'));
    const waiting = pool({ memory: 600 }, 'serves', 'other').wait('r').lease;
    await vi.waitFor(() => expect(test.pools.room.waiting).toBe(1));
    expect(test.pools.capacity.memoryPromised).toBe(600);
    held.release();
    (await waiting).release();
    expect(test.pools.capacity.memoryPromised).toBe(600);
  });

  it('in memory that an instance holds while it ends, a call cuts its grace short, and no other’s', async () => {
    const pools = ['one', 'two'].map((name) => pool({ memory: 400, idleTimeout: 1, stopGrace: 60_000 }, 'stubborn', name));
    for (const each of pools) await leased(each);
    await vi.waitFor(() => expect(pools.map(({ census }) => census.now.stopping)).toEqual([1, 1]));
    const began = performance.now();
    (await lease(pool({ memory: 600 }, 'serves', 'needs-room'))).release();
    expect(performance.now() - began).toBeLessThan(3000);
    expect(pools.map(({ census }) => census.now.stopping)).toEqual([0, 1]);
    test.pools.hurry(400);
  });

  it('in memory, a start that waits does not hold back those behind it that fit', async () => {
    const held = await lease(pool({ memory: 600 }, 'serves', 'big'));
    const waiting = pool({ memory: 600 }, 'serves', 'other').wait('r');
    await vi.waitFor(() => expect(test.pools.room.waiting).toBe(1));
    (await lease(pool({ memory: 300 }, 'serves', 'small'))).release();
    expect(test.pools.room.waiting).toBe(1);
    waiting.cancel();
    await vi.waitFor(() => expect(test.pools.room.waiting).toBe(0));
    held.release();
  });

  it('in memory because the burst of one function keeps it, another’s first call gets the next of its instances', async () => {
    const hog = pool({ memory: 480, queue: 200 }, 'serves', 'hog');
    let open = 0;
    const calls = Array.from({ length: 200 }, async () => {
      open++;
      const given = await lease(hog);
      await new Promise((resolve) => setTimeout(resolve, 20));
      given.release();
      open--;
    });
    await vi.waitFor(() => expect(hog.census.serving).toBe(2));
    const other = await lease(pool({ memory: 480 }, 'serves', 'other'));
    expect(open).toBeGreaterThan(100);
    expect(hog.census.serving).toBe(1);
    other.release();
    await Promise.all(calls);
  });

  it('in memory, a thousand starts may wait, the next is refused, and looking for room stays cheap', async () => {
    test.slotsLeft = 5000;
    const held = await lease(pool({ memory: 600 }, 'serves', 'big'));
    const waiting = Array.from({ length: 1000 }, (_, i) => pool({ memory: 600 }, 'serves', `f-${i}`).wait('r'));
    const ends = waiting.map(({ lease: coming }) => coming.then((given) => given.release()).catch((error: Error) => error));
    await vi.waitFor(() => expect(test.pools.room.waiting).toBe(1000), 10_000);
    await expect(pool({ memory: 600 }, 'serves', 'one-more').wait('r').lease).rejects.toMatchObject({ code: 'no_capacity' });
    for (const each of waiting.slice(1)) each.cancel();
    held.release();
    expect(await ends[0]).toBeUndefined();
    await vi.waitFor(() => expect(test.pools.room.waiting).toBe(0), 10_000);
  });

  it('on the whole node, a version is refused at once', async () => {
    for (const config of [{ memory: 1001 }, { cpu: 101 }])
      await expect(pool(config, 'serves', `f-${Object.keys(config)[0]}`).wait('r').lease).rejects.toMatchObject({ code: 'no_capacity' });
  });

  it('until its time is over, a call is told what it waited for', async () => {
    const held = await lease(pool({ memory: 600 }, 'serves', 'big'));
    test.noSlot = 'passing';
    const waitIn = (from: InstancePool) =>
      from.wait('r').lease.then(
        () => 'served',
        ({ code }: KilnError) => code,
      );
    const noRoom = waitIn(pool({ memory: 600, startTimeout: 50 }, 'serves', 'no-room'));
    const silent = waitIn(pool({ startTimeout: 50 }, 'silent', 'silent'));
    await vi.waitFor(() => expect(test.driver.started).toBe(2));
    test.slotsLeft = -100;
    const noSlot = waitIn(pool({ startTimeout: 50, maxInstances: 1 }, 'serves', 'no-slot'));
    expect(await Promise.all([noRoom, noSlot, silent])).toEqual(['no_capacity', 'concurrency_limit', 'start_timeout']);
    held.release();
    await vi.waitFor(() => expect(test.pools.room.waiting).toBe(0));
  }, 15_000);

  it('in memory, what had the traffic before makes room first, however lately it was used', async () => {
    const serving = pool({ memory: 400 }, 'serves', 'serving');
    const before = pool({ memory: 400 }, 'serves', 'before');
    await leased(serving);
    await leased(before);
    before.keepAs('previous');
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

describe('cores', () => {
  it('are shared by time: each version’s first instance is started however many are in use, further ones wait', async () => {
    const small = new TestPools(2);
    try {
      const names = ['a', 'b', 'c', 'd', 'e', 'f'];
      const held = await Promise.all(names.map((name) => lease(small.pool({}, 'serves', name))));
      const second = small.pool({}, 'serves', 'a').wait('second');
      await vi.waitFor(() => expect(small.pools.room.waiting).toBe(1));
      expect(small.driver.started).toBe(6);
      for (const each of held.slice(1)) each.release();
      // Idle ones use none.
      const got = await second.lease;
      expect([got.waited.start, small.driver.started]).toEqual(['cold', 7]);
      got.release();
      held[0]?.release();
      expect(small.pools.census.existing).toBe(7);
    } finally {
      await small.stop();
    }
  });

  it('that are in use make a further call wait for an instance of its function', async () => {
    const small = new TestPools(1);
    try {
      const from = small.pool();
      const held = await lease(from);
      const second = from.wait('second').lease;
      await vi.waitFor(() => expect(small.pools.room.waiting).toBe(1));
      held.release();
      const got = await second;
      expect(got.instance).toBe(held.instance);
      await vi.waitFor(() => expect(from.census.existing).toBe(1));
      got.release();
    } finally {
      await small.stop();
    }
  });
});

describe('the burst of one function', () => {
  it('keeps another’s first call waiting for one of its starts at most', async () => {
    test.driver.startMs = 300;
    const burst = pool({}, 'serves', 'burst');
    const calls = Array.from({ length: 50 }, (_, i) => burst.wait(`r${i}`).lease.then((given) => given.release()));
    await vi.waitFor(() => expect(test.driver.started).toBe(4));
    const other = await lease(pool());
    // Those four, and those that took their places before it asked.
    expect(test.driver.order.indexOf('f')).toBeLessThanOrEqual(8);
    other.release();
    await Promise.all(calls);
  });
});

describe('functions that never listen', () => {
  it('keep no place at the gate: another’s first call is served meanwhile', async () => {
    const silent = Array.from({ length: 6 }, (_, i) => pool({ startTimeout: 60_000 }, 'silent', `silent-${i}`).wait('r'));
    await vi.waitFor(() => expect(test.driver.started).toBe(6));
    (await lease(pool())).release();
    for (const each of silent) each.cancel();
  });

  it('leave the node with their version, however long they could still try', async () => {
    const silent = pool({ startTimeout: 600_000 }, 'silent', 'silent');
    const waiting = silent.wait('r').lease;
    await vi.waitFor(() => expect(test.driver.running.size).toBe(1));
    test.pools.remove(silent, new KilnError('version_not_found', 'removed'));
    await expect(waiting).rejects.toMatchObject({ code: 'version_not_found' });
    await vi.waitFor(() => expect([test.pools.living.size, test.driver.running.size]).toEqual([0, 0]));
    expect(test.pools.capacity.memoryPromised).toBe(0);
  });

  it('take few places on the node, however many call them', async () => {
    const silent = pool({ startTimeout: 60_000 }, 'silent', 'silent');
    const waiting = Array.from({ length: 50 }, (_, i) => silent.wait(`r${i}`));
    await vi.waitFor(() => expect(test.driver.started).toBe(4));
    for (const each of await many(8, pool())) each.release();
    expect(silent.census.existing).toBe(4);
    for (const each of waiting) each.cancel();
  });
});
