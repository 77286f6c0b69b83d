import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KilnError } from '@kiln/contract/errors';
import { type FunctionConfigInput, resolveConfig } from '@kiln/contract/function-config';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InstanceLog } from '../logs/instance-log.js';
import { Capacity } from './capacity.js';
import type { FunctionVersion } from './container-driver.js';
import { type FakeContainer, FakeDriver, type FakeImage } from './fake-driver.fixture.js';
import { Gate } from './gate.js';
import type { InstancePool } from './instance-pool.js';
import type { Lease } from './lease.js';
import { Pools } from './pools.js';
import { InstanceStarter } from './start-instance.js';

let home: string;
let driver: FakeDriver;
let pools: Pools;
let slotsLeft: number;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'kiln-'));
  driver = new FakeDriver();
  slotsLeft = 1000;
  pools = new Pools('test', new Capacity({ memory: 1000, cpu: 100 }));
  const slots = {
    reserve: async () => slotsLeft-- > 0,
    release: () => {
      slotsLeft++;
    },
  };
  const origin = { function: 'f', version: 1, node: 'test', instance: 'i', requestOfOutput: () => undefined };
  const newLog = () => new InstanceLog(origin, () => undefined);
  const images = { ensure: async () => undefined };
  pools.startWith(
    new InstanceStarter({
      driver,
      images,
      secretsOf: async () => ({}),
      slots,
      room: pools.room,
      gate: new Gate(4),
      newLog,
      socketRoot: home,
    }),
  );
});
afterEach(async () => {
  pools.close();
  pools.cut();
  await vi.waitFor(() => expect(pools.living.size).toBe(0));
  rmSync(home, { recursive: true, force: true });
});

function pool(config: FunctionConfigInput = {}, image: FakeImage = 'serves', name = 'f'): InstancePool {
  const version: FunctionVersion = {
    function: name,
    version: 1,
    image,
    kind: 'runner',
    config: resolveConfig({ memory: 16, ...config }, 'runner'),
  };
  return pools.of(version);
}

async function lease(from: InstancePool, id = 'r'): Promise<Lease> {
  return from.tryLease(id) ?? (await from.wait(id).lease);
}

const many = (count: number, from: InstancePool) => Promise.all(Array.from({ length: count }, (_, i) => lease(from, `r${i}`)));

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
    expect(pools.load).toBe(0);
  });

  it('starts no more instances than those who wait need', async () => {
    const from = pool({ concurrency: 10 });
    const leases = await many(25, from);
    expect(driver.started).toBe(3);
    for (const held of leases) held.release();
  });

  it('lets simultaneous calls run in instances of their own, although the first ends just before those are there', async () => {
    driver.startMs = 300;
    const from = pool();
    const first = await lease(from);
    const others = many(4, from);
    setTimeout(() => first.release(), 250);
    const leases = await others;
    expect(new Set([first, ...leases].map(({ instance }) => instance.id)).size).toBe(5);
    expect(leases.map(({ waited }) => waited.start)).toEqual(['cold', 'cold', 'cold', 'cold']);
    for (const each of leases) each.release();
  });

  it('gives what becomes free at once to who has waited a moment only', async () => {
    driver.startMs = 300;
    const from = pool();
    const first = await lease(from);
    const second = from.wait('r2').lease;
    first.release();
    const { waited, instance } = await second;
    expect([waited.start, instance]).toEqual(['warm', first.instance]);
    (await second).release();
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
    await vi.waitFor(() => expect(driver.started).toBe(3));
    await vi.waitFor(() => expect(from.census.now.idle).toBe(2));
    from.keep(0);
    await vi.waitFor(() => expect(from.census.existing).toBe(0));
  });

  it('that is closed refuses who waits, ends idle instances at once and busy ones with their last lease', async () => {
    const from = pool({ maxInstances: 1 });
    const held = await lease(from);
    const waiting = from.wait('r').lease;
    const refused = expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
    pools.remove(from, new KilnError('unavailable', 'draining'));
    await refused;
    expect(() => from.wait('r')).toThrowError(expect.objectContaining({ code: 'unavailable' }));
    expect(from.census.now.busy).toBe(1);
    held.release();
    await vi.waitFor(() => expect(pools.living.size).toBe(0));
  });

  it('without traffic does not wait for the idle time', async () => {
    const from = pool({ idleTimeout: 300_000 });
    (await lease(from)).release();
    from.retire(true);
    await vi.waitFor(() => expect(from.census.existing).toBe(0), 3000);
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
      const { started } = driver;
      expect(() => from.wait('c')).toThrowError(expect.objectContaining({ code: 'start_failed' }));
      expect(driver.started).toBe(started);
      await vi.waitFor(() => expect(pools.living.size).toBe(0));
      expect(pools.capacity.memoryPromised).toBe(0);
    },
  );

  it('because it is never ready is a start_timeout', async () => {
    await expect(pool({ startTimeout: 50 }, 'silent').wait('a').lease).rejects.toMatchObject({ code: 'start_timeout' });
  });
});

describe('where there is no place', () => {
  it('in the cluster, a node without an instance refuses and one with an instance lets wait', async () => {
    slotsLeft = 1;
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
    expect(pools.capacity.memoryPromised).toBe(600);
    freed.release();
  });

  it('does not start again and again while somebody waits', async () => {
    const from = pool();
    const held = await lease(from);
    slotsLeft = 0;
    const waiting = from.wait('r').lease;
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(from.census.ever.created).toBeLessThan(6);
    held.release();
    (await waiting).release();
  });
});
