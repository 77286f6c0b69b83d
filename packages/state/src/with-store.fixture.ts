import { startTestRedis, type TestRedis } from '@kiln/testing/redis';
import { afterAll, beforeAll } from 'vitest';
import { connectStore, type Store } from './store/store.js';

/** Of the file that runs. */
export let redis: TestRedis;
export let store: Store;

/** Gives all tests of a file one `redis` and one `store`. */
export function withStore(): void {
  beforeAll(async () => {
    redis = await startTestRedis();
    store = connectStore(redis.url, { onError: () => undefined });
    await store.whenReady(5000);
  });
  afterAll(async () => {
    await store?.close();
    await redis?.stop();
  });
}
