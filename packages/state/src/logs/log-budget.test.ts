import { startTestRedis, type TestRedis } from '@kiln/testing/redis';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FunctionStore } from '../functions/function-store.js';
import { NodeStore } from '../node-store.js';
import { draft, logOf, nodeOf } from '../state.fixture.js';
import { connectStore, type Store } from '../store/store.js';
import { LogStore } from './log-store.js';

const MIB = 1024 * 1024;

let redis: TestRedis;
let raw: Redis;
let store: Store;
let logs: LogStore;

beforeEach(async () => {
  redis = await startTestRedis();
  raw = new Redis(redis.url);
  store = connectStore(redis.url, { onError: () => undefined });
  await store.whenReady(5000);
  logs = new LogStore(store);
});
afterEach(async () => {
  raw.disconnect();
  await store.close();
  await redis.stop();
});

const flood = async (name: string, bytes: number, line = 4000) => {
  for (let sent = 0; sent < bytes; sent += 50 * line) {
    await logs.append(Array.from({ length: 50 }, (_, i) => logOf(`${sent + i} ${'x'.repeat(line)}`, { function: name })));
  }
};
const used = async () => Number(/^used_memory:(\d+)/m.exec(await raw.info('memory'))?.[1]);
const sizes = async (): Promise<Record<string, number>> => {
  const names = await raw.zrange('kiln:log-sizes', '0', '-1');
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, Number(await raw.zscore('kiln:log-sizes', name))])));
};
const total = async () => Number(await raw.get('kiln:log-total'));

describe('a flood of log lines', () => {
  it('never fills a small store: heartbeats and deployments go on', async () => {
    await raw.config('SET', 'maxmemory', String(16 * MIB));
    const functions = new FunctionStore(store);
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']) {
      await flood(name, 3 * MIB);
      await new NodeStore(store).heartbeat(nodeOf('n'));
      await functions.createVersion(name, draft);
    }
    expect(await used()).toBeLessThan(12 * MIB);
    expect(await total()).toBeLessThanOrEqual(4 * MIB);
    expect(store.trouble).toBeUndefined();
  }, 60_000);

  it('costs a function its own oldest lines, and no other function any of its lines', async () => {
    await raw.config('SET', 'maxmemory', String(32 * MIB));
    await logs.append([logOf('quiet', { function: 'quiet' })]);
    await flood('loud', 4 * MIB);
    const { records } = await logs.read('loud', { limit: 10_000 });
    expect(records.length * 4000).toBeLessThanOrEqual(MIB);
    expect(records.length * 4000).toBeGreaterThan(MIB / 2);
    const last = Number(records.at(-1)?.message.split(' ')[0]);
    expect(records.map(({ message }) => Number(message.split(' ')[0])).slice(-3)).toEqual([last - 2, last - 1, last]);
    expect((await logs.read('quiet', { limit: 10 })).records).toMatchObject([{ message: 'quiet' }]);
  });

  it('of many functions takes lines from the largest', async () => {
    await raw.config('SET', 'maxmemory', String(8 * MIB));
    await logs.append([logOf('quiet', { function: 'quiet' })]);
    for (let i = 0; i < 12; i += 1) await flood(`f${i}`, MIB / 2);
    expect(await total()).toBeLessThanOrEqual(2 * MIB);
    expect((await logs.read('quiet', { limit: 10 })).records).toHaveLength(1);
    expect((await logs.read('f11', { limit: 10 })).records).not.toEqual([]);
  });

  it('into a store that is full already is refused; the store keeps what it has, and takes heartbeats', async () => {
    await new FunctionStore(store).createVersion('f', draft);
    await logs.append([logOf('before')]);
    await raw.config('SET', 'maxmemory', '1mb');
    await expect(logs.append([logOf('x'.repeat(4000))])).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('OOM'),
    });
    expect((await logs.read('hello', { limit: 10 })).records).toMatchObject([{ message: 'before' }]);
    const nodes = new NodeStore(store);
    await nodes.heartbeat(nodeOf('n', { beat: 7 }));
    expect(await nodes.list()).toMatchObject([{ id: 'n', beat: 7, alive: true }]);
    expect(await new FunctionStore(store).listAll()).toHaveLength(1);
    expect(store.trouble).toMatchObject({ kind: 'refuses-writes', detail: expect.stringContaining('memory') });
  });
});

describe('the count of what logs take', () => {
  it('is that of the lines that are there, whatever was trimmed, removed or added', async () => {
    const functions = new FunctionStore(store);
    await raw.config('SET', 'maxmemory', String(16 * MIB));
    for (const name of ['a', 'b', 'c']) {
      await functions.createVersion(name, draft);
      await flood(name, MIB);
    }
    await functions.remove('b');
    const counted = await sizes();
    expect(Object.keys(counted).sort()).toEqual(['a', 'c']);
    for (const [name, size] of Object.entries(counted)) {
      const entries = await raw.xrange(`kiln:logs:${name}`, '-', '+');
      expect(size).toBe(entries.reduce((sum, [, fields]) => sum + Buffer.byteLength(fields[1] as string) + 64, 0));
    }
    expect(await total()).toBe(Object.values(counted).reduce((sum, size) => sum + size, 0));
  });

  it('takes in logs that an older version left, and forgets those that have expired', async () => {
    for (let i = 0; i < 450; i += 1) await raw.xadd('kiln:logs:old', '*', 'r', JSON.stringify(logOf('old', { function: 'old' })));
    await logs.append([logOf('new', { function: 'old' })]);
    expect((await logs.read('old', { limit: 1000 })).records).toHaveLength(451);
    expect(await total()).toBe((await sizes())['old']);
    await raw.multi().del('kiln:logs:old').zadd('kiln:log-times', 1, 'old').exec();
    await logs.append([logOf('x', { function: 'other' })]);
    expect(Object.keys(await sizes())).toEqual(['other']);
    expect(await total()).toBe((await sizes())['other']);
  });
});

describe('a long message', () => {
  it('keeps its beginning, and says where it was cut', async () => {
    await logs.append([logOf(`order failed ${'x'.repeat(20_000)}`, { function: 'a', level: 'error', requestId: 'r-1' })]);
    const { records } = await logs.read('a', { limit: 10, level: 'error', requestId: 'r-1' });
    expect(records.map(({ message }) => message)).toEqual([`order failed ${'x'.repeat(8179)}… (cut after 8192 characters)`]);
  });
});
