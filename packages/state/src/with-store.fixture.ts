import { startTestRedis, type TestRedis } from '@kiln/testing/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { removeAll } from './state.fixture.js';
import { connectStore, type Store } from './store/store.js';

/** Of the file that runs. */
export let redis: TestRedis;
export let store: Store;
/** Beside the store: what another version of Kiln reads and writes. */
export let raw: Redis;
/** What the store of this test had to say. */
export let reported: string[];

/** Gives all tests of a file one `redis` and one `store`. */
export function withStore(): void {
  beforeAll(async () => {
    redis = await startTestRedis();
    await connect();
  });
  afterAll(async () => {
    await store?.close();
    await redis?.stop();
  });
}

/** Gives each test a `store` that has read nothing, on an empty `redis`. */
export function withEmptyStore(): void {
  withStore();
  beforeAll(() => {
    raw = new Redis(redis.url);
  });
  afterAll(() => raw?.disconnect());
  beforeEach(async () => {
    await store.close();
    await removeAll(raw);
    await connect();
  });
}

async function connect(): Promise<void> {
  reported = [];
  store = connectStore(redis.url, { onError: (error) => reported.push(error.message) });
  await store.whenReady(5000);
}
