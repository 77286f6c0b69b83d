import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Lease } from '../instance/instance.js';
import type { FakeContainer } from '../port/fake-driver.fixture.js';
import { lease, leased, many, TestPools } from './pools.fixture.js';

let test: TestPools;
const pool: TestPools['pool'] = (...args) => test.pool(...args);

beforeEach(() => {
  test = new TestPools();
});
afterEach(() => test.stop());

describe('a pool', () => {
  it('makes one instance for the first request and gives it to the next', async () => {
    const from = pool();
    const first = await lease(from);
    expect([first.waited.start, first.waited.queueMs]).toEqual(['cold', 0]);
    first.release();
    const second = from.tryLease('r2');
    expect([second?.waited.start, second?.instance]).toEqual(['warm', first.instance]);
    second?.release();
  });

  it('never gives out more leases than the concurrency, and each release once', async () => {
    const from = pool({ concurrency: 3, maxInstances: 1 });
    const leases = await many(3, from);
    expect(from.tryLease('r')).toBeUndefined();
    leases[0]?.release();
    leases[0]?.release();
    const again = from.tryLease('r');
    expect(again).toBeDefined();
    expect(from.tryLease('r')).toBeUndefined();
    for (const held of [...leases, again]) held?.release();
    expect(test.pools.load).toBe(0);
  });

  it('lets the first of several requests’ instances serve a burst of short first calls, and makes no other', async () => {
    test.driver.startMs = 100;
    const from = pool({ concurrency: 10 });
    const leases = Array.from({ length: 50 }, async (_, i) => {
      const given = await lease(from, `r${i}`);
      await delay(20);
      given.release();
      return given;
    });
    expect(new Set((await Promise.all(leases)).map(({ instance }) => instance)).size).toBe(1);
    expect(test.driver.started).toBe(1);
  });

  it('starts no more instances than those who wait need', async () => {
    const from = pool({ concurrency: 10 });
    const leases = await many(25, from);
    expect(test.driver.started).toBe(3);
    for (const held of leases) held.release();
  });

  it('gives what becomes free to who waits longest, although its own instance is nearly there', async () => {
    test.driver.startMs = 300;
    const from = pool();
    const first = await lease(from);
    const others = many(3, from);
    setTimeout(() => first.release(), 250);
    const leases = await others;
    expect(leases.map(({ waited }) => waited.start)).toEqual(['warm', 'cold', 'cold']);
    expect(leases[0]?.instance).toBe(first.instance);
    for (const each of leases) each.release();
    // Its start had begun: it is warm for the next.
    await vi.waitFor(() => expect(from.census.now.idle).toBe(4));
  });

  it('serves a burst of short first calls with the first instances that are ready, and makes none that nobody needs any more', async () => {
    test.driver.startMs = 100;
    const from = pool();
    const leases = Array.from({ length: 50 }, async (_, i) => {
      const given = await lease(from, `r${i}`);
      given.release();
      return given;
    });
    const used = new Set((await Promise.all(leases)).map(({ instance }) => instance));
    expect(used.size).toBeLessThanOrEqual(4);
    await vi.waitFor(() => expect(from.census.coming).toBe(0));
    expect(test.driver.started).toBeLessThanOrEqual(8);
  });

  it('starts one for each of simultaneous calls that stay', async () => {
    test.driver.startMs = 50;
    const leases = await many(12, pool());
    expect(new Set(leases.map(({ instance }) => instance)).size).toBe(12);
    for (const each of leases) each.release();
  });

  it('lets as many wait as its queue holds and instances can be made for, though not all are started at once', async () => {
    test.driver.startMs = 50;
    const from = pool({ queue: 3, maxInstances: 20 });
    const waiting = Array.from({ length: 23 }, (_, i) => from.wait(`r${i}`));
    expect(() => from.wait('one more')).toThrowError(expect.objectContaining({ code: 'concurrency_limit' }));
    for (const { lease: coming } of waiting) (await coming).release();
  });

  it('uses the instance used last first, so that others grow old', async () => {
    const from = pool();
    const [a, b] = (await many(2, from)) as [Lease, Lease];
    a.release();
    b.release();
    const next = from.tryLease('r');
    expect(next?.instance).toBe(b.instance);
    next?.release();
  });

  it('keeps its maximum also while instances leave', async () => {
    const from = pool({ maxInstances: 2 });
    const [a, b] = (await many(2, from)) as [Lease, Lease];
    from.condemn(a.instance);
    const waiting = from.wait('r').lease;
    expect(from.census.existing).toBe(2);
    a.release();
    const third = await waiting;
    expect(third.instance).not.toBe(a.instance);
    expect(from.census.existing).toBe(2);
    b.release();
    third.release();
  });

  it('refuses beyond its queue, and says so at once', async () => {
    const from = pool({ maxInstances: 1, queue: 2 });
    const held = await lease(from);
    const waiting = [from.wait('a'), from.wait('b')];
    expect(() => from.wait('c')).toThrowError(expect.objectContaining({ code: 'concurrency_limit' }));
    held.release();
    for (const { lease: coming } of waiting) (await coming).release();
  });

  it('serves in order, and skips who left', async () => {
    const from = pool({ maxInstances: 1 });
    const held = await lease(from);
    const [a, b, c] = [from.wait('a'), from.wait('b'), from.wait('c')];
    b.cancel();
    held.release();
    const order: string[] = [];
    for (const { lease: coming } of [a, c]) {
      const got = await coming;
      order.push(got.requestId);
      got.release();
    }
    expect(order).toEqual(['a', 'c']);
  });

  it('gives no lease on an instance whose process ended', async () => {
    const from = pool();
    const first = await lease(from);
    first.release();
    (first.instance.container as FakeContainer).die(1);
    await vi.waitFor(() => expect(from.census.existing).toBe(0));
    const second = await lease(from);
    expect(second.instance).not.toBe(first.instance);
    second.release();
  });

  it('keeps its minimum, and puts back what ended', async () => {
    const from = pool({ minInstances: 2, idleTimeout: 20 });
    from.keep(2);
    await vi.waitFor(() => expect(from.census.now.idle).toBe(2));
    const held = await lease(from);
    held.release();
    (held.instance.container as FakeContainer).die(1);
    await vi.waitFor(() => expect(test.driver.started).toBe(3));
    await vi.waitFor(() => expect(from.census.now.idle).toBe(2));
    from.keep(0);
    await vi.waitFor(() => expect(from.census.existing).toBe(0));
  });

  it('that is closed refuses who waits, ends idle instances at once and busy ones with their last lease', async () => {
    const from = pool({ maxInstances: 1 });
    const held = await lease(from);
    const waiting = from.wait('r').lease;
    const refused = expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
    test.pools.remove(from, new KilnError('unavailable', 'draining'));
    await refused;
    expect(() => from.wait('r')).toThrowError(expect.objectContaining({ code: 'unavailable' }));
    expect(from.census.now.busy).toBe(1);
    held.release();
    await vi.waitFor(() => expect(test.pools.living.size).toBe(0));
  });

  it('that is retired does not wait for the idle time', async () => {
    const from = pool({ idleTimeout: 300_000 });
    (await lease(from)).release();
    from.keepAs('retired');
    await vi.waitFor(() => expect(from.census.existing).toBe(0), 3000);
  });

  it('that had the traffic just before keeps its idle instances for its idle time', async () => {
    const from = pool({ idleTimeout: 800 });
    const { instance } = await leased(from);
    from.keepAs('previous');
    await vi.waitFor(() => expect(performance.now() - instance.idleSince).toBeGreaterThan(600));
    const again = from.tryLease('r');
    expect(again?.instance).toBe(instance);
    again?.release();
  });
});

describe('an instance that ends', () => {
  it('has its whole grace where nobody needs its place', async () => {
    const from = pool({ idleTimeout: 1, stopGrace: 1500 }, 'stubborn');
    await leased(from);
    await vi.waitFor(() => expect(from.census.now.stopping).toBe(1));
    const began = performance.now();
    (await lease(from)).release();
    expect(performance.now() - began).toBeLessThan(1000);
    expect(from.census.now.stopping).toBeGreaterThan(0);
    await vi.waitFor(() => expect(from.census.ever.removed).toBeGreaterThan(0), 5000);
    expect(performance.now() - began).toBeGreaterThan(1300);
  });

  it('is hurried where a call waits for its place below maxInstances', async () => {
    const from = pool({ idleTimeout: 1, stopGrace: 60_000, maxInstances: 1 }, 'stubborn');
    await leased(from);
    await vi.waitFor(() => expect(from.census.now.stopping).toBe(1));
    const began = performance.now();
    const held = await lease(from);
    expect(performance.now() - began).toBeLessThan(3000);
    from.condemn(held.instance);
    held.release();
  });
});

describe('a version that cannot start', () => {
  it.each([['exits' as const], ['missing' as const]])(
    'because its image %s gives everyone who waits the error, and is left alone for a while',
    async (image) => {
      const from = pool({}, image);
      const waiting = [from.wait('a').lease, from.wait('b').lease];
      for (const result of await Promise.allSettled(waiting))
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'start_failed' } });
      const { started } = test.driver;
      expect(() => from.wait('c')).toThrowError(expect.objectContaining({ code: 'start_failed' }));
      expect(test.driver.started).toBe(started);
      await vi.waitFor(() => expect(test.pools.living.size).toBe(0));
      expect(test.pools.capacity.memoryPromised).toBe(0);
    },
  );

  it('because it is never ready is a start_timeout', async () => {
    await expect(pool({ startTimeout: 50 }, 'silent').wait('a').lease).rejects.toMatchObject({ code: 'start_timeout' });
  });
});
