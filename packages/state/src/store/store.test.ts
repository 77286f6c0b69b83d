import { KilnError } from '@kiln/contract/errors';
import { startTestRedis, type TestRedis } from '@kiln/testing/redis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FunctionStore } from '../functions/function-store.js';
import { draft } from '../state.fixture.js';
import { connectionOptions } from './connection-options.js';
import { connectStore, type Store } from './store.js';

let redis: TestRedis;
let store: Store;
let errors: Error[];

beforeEach(async () => {
  redis = await startTestRedis();
  errors = [];
  store = connectStore(redis.url, { onError: (error) => errors.push(error) });
  expect(await store.whenReady(5000)).toBe(true);
});
afterEach(async () => {
  await store.close();
  await redis.stop();
});

async function refusal(promise: Promise<unknown>): Promise<{ error: unknown; ms: number }> {
  const started = performance.now();
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, ms: performance.now() - started };
}

function expectUnavailable(error: unknown): void {
  expect(error).toBeInstanceOf(KilnError);
  expect(error).toMatchObject({ code: 'unavailable', retryAfter: 1 });
}

describe('the store', () => {
  it('keeps through kill -9 what it acknowledged, and heals by itself', async () => {
    const functions = new FunctionStore(store);
    let acknowledged = 0;
    const writing = refusal(
      (async () => {
        for (;;) acknowledged = (await functions.createVersion('kept', draft)).version;
      })(),
    );
    await expect.poll(() => acknowledged, { timeout: 10_000 }).toBeGreaterThan(50);
    await redis.kill();
    expectUnavailable((await writing).error);
    expect(store.ready).toBe(false);
    await redis.restart();
    await expect.poll(() => store.ready, { timeout: 5000 }).toBe(true);
    const versions = await functions.versions('kept');
    expect(versions.map(({ version }) => version)).toEqual(Array.from({ length: versions.length }, (_, i) => i + 1));
    expect(versions.length).toBeGreaterThanOrEqual(acknowledged);
    expect((await functions.createVersion('kept', draft)).version).toBe(versions.length + 1);
  });

  it('says at once that it is away, and reports an outage once', async () => {
    await redis.kill();
    await expect.poll(() => store.ready).toBe(false);
    for (let i = 0; i < 20; i += 1) {
      const { error, ms } = await refusal(store.run((redis) => redis.ping()));
      expectUnavailable(error);
      expect(ms).toBeLessThan(100);
    }
    await expect.poll(() => errors.length).toBe(1);
    await redis.restart();
    await expect.poll(() => store.ready, { timeout: 5000 }).toBe(true);
    await redis.kill();
    await expect.poll(() => errors.length, { timeout: 5000 }).toBe(2);
  });

  it('waits about a second for a server that does not answer', async () => {
    redis.freeze();
    const { error, ms } = await refusal(store.run((redis) => redis.ping()));
    expectUnavailable(error);
    expect(ms).toBeGreaterThan(900);
    expect(ms).toBeLessThan(2000);
    redis.thaw();
    await store.run((redis) => redis.ping());
  });

  it('is not called away by a process that stood still while the answer came', async () => {
    const asked = store.run((redis) => redis.ping());
    const until = performance.now() + 1500;
    while (performance.now() < until);
    await asked;
    expect(errors).toEqual([]);
  });

  it('tells a fault of ours from an outage', async () => {
    const { error } = await refusal(store.run((client) => client.call('NO-SUCH-COMMAND')));
    expect(error).not.toBeInstanceOf(KilnError);
    expect(String(error)).toMatch(/unknown command/);
  });
});

describe('a store that is away from the start', () => {
  it('does not stop the process, and is used when it comes', async () => {
    await redis.kill();
    const faults: Error[] = [];
    const early = connectStore(redis.url, { onError: (error) => faults.push(error) });
    try {
      expect(await early.whenReady(300)).toBe(false);
      expectUnavailable((await refusal(early.run((redis) => redis.ping()))).error);
      await redis.restart();
      await expect.poll(() => early.ready, { timeout: 5000 }).toBe(true);
      await early.run((redis) => redis.ping());
      expect(faults).toHaveLength(1);
    } finally {
      await early.close();
    }
  });
});

describe('connectionOptions', () => {
  it.each([
    ['redis://127.0.0.1:7000', { host: '127.0.0.1', port: 7000, db: 0 }],
    ['redis://:p%40ss@redis/2', { host: 'redis', port: 6379, db: 2, password: 'p@ss' }],
    ['rediss://user:pw@[::1]:6380', { host: '::1', port: 6380, db: 0, username: 'user', password: 'pw', tls: {} }],
    ['unix:///run/redis.sock', { path: '/run/redis.sock', db: 0 }],
  ])('reads %s', (url, expected) => {
    expect(connectionOptions(url)).toEqual(expected);
  });
});
