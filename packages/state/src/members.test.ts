import type { KeyRecord, NodeRecord } from '@kiln/contract/records/records';
import { startTestRedis, type TestRedis } from '@kiln/testing/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KeyStore } from './key-store.js';
import { LogStore } from './logs/log-store.js';
import { NodeStore } from './node-store.js';
import { SlotStore } from './slot-store.js';
import { logOf, nodeOf, removeAll } from './state.fixture.js';
import { connectStore, type Store } from './store/store.js';

let redis: TestRedis;
let store: Store;
let raw: Redis;

beforeAll(async () => {
  redis = await startTestRedis();
  store = connectStore(redis.url, { onError: () => undefined });
  await store.whenReady(5000);
  raw = new Redis(redis.url);
});
beforeEach(() => removeAll(raw));
afterAll(async () => {
  raw?.disconnect();
  await store?.close();
  await redis?.stop();
});

describe('nodes', () => {
  const ids = async (nodes: NodeStore) => (await nodes.list()).map(({ id, alive }) => [id, alive]);

  it('are alive until three seconds after their last heartbeat, and gone when they leave', async () => {
    const nodes = new NodeStore(store);
    await nodes.heartbeat(nodeOf('b'));
    await nodes.heartbeat(nodeOf('a', { load: 0.25 }));
    expect(await ids(nodes)).toEqual([
      ['a', true],
      ['b', true],
    ]);
    expect((await nodes.list())[0]).toEqual({ ...nodeOf('a', { load: 0.25 }), alive: true, startedAt: expect.any(String) });
    expect(await raw.pttl('kiln:node-alive:a')).toBeGreaterThan(2000);
    expect(await raw.pttl('kiln:node-alive:a')).toBeLessThanOrEqual(3000);
    await raw.del('kiln:node-alive:a');
    expect(await ids(nodes)).toEqual([
      ['a', false],
      ['b', true],
    ]);
    await nodes.leave('b');
    expect(await ids(nodes)).toEqual([['a', false]]);
  });

  it('are forgotten when they were silent for a day', async () => {
    const nodes = new NodeStore(store);
    await nodes.heartbeat(nodeOf('old'));
    await raw.zadd('kiln:nodes-seen', Math.floor(Date.now() / 1000) - 25 * 3600, 'old');
    await nodes.heartbeat(nodeOf('new'));
    expect(await ids(nodes)).toEqual([['new', true]]);
  });

  it('with a bad id are refused', async () => {
    await expect((async () => new NodeStore(store).heartbeat(nodeOf('a:b')))()).rejects.toMatchObject({ code: 'bad_request' });
  });
});

describe('slots', () => {
  const heartbeats = (...nodes: NodeRecord[]) => Promise.all(nodes.map((node) => new NodeStore(store).heartbeat(node)));

  it('never exceed the most allowed, however many ask at once', async () => {
    const slots = new SlotStore(store);
    await heartbeats(nodeOf('a'), nodeOf('b'), nodeOf('c'));
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => slots.reserve('hello', 1, 'abc'[i % 3]!, 5)));
    expect(answers.filter(Boolean)).toHaveLength(5);
    const counts = Object.values(await raw.hgetall('kiln:slots:hello:1')).map(Number);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5);
    expect(await slots.reserve('hello', 2, 'a', 5)).toBe(true);
  });

  it('come back with a release, and with the death of their node', async () => {
    const slots = new SlotStore(store);
    await heartbeats(nodeOf('a'), nodeOf('b'));
    expect(await slots.reserve('hello', 1, 'a', 1)).toBe(true);
    expect(await slots.reserve('hello', 1, 'b', 1)).toBe(false);
    await slots.release('hello', 1, 'a');
    await slots.release('hello', 1, 'a');
    expect(await slots.reserve('hello', 1, 'b', 1)).toBe(true);
    expect(await slots.reserve('hello', 1, 'a', 1)).toBe(false);
    await raw.del('kiln:node-alive:b');
    expect(await slots.reserve('hello', 1, 'a', 1)).toBe(true);
  });

  it('count a node’s own even when it is not alive yet', async () => {
    const slots = new SlotStore(store);
    expect(await slots.reserve('hello', 1, 'a', 1)).toBe(true);
    expect(await slots.reserve('hello', 1, 'a', 1)).toBe(false);
  });

  it('are what the node says they are after a rewrite', async () => {
    const slots = new SlotStore(store);
    await heartbeats(nodeOf('a'), nodeOf('b'));
    await slots.reserve('hello', 1, 'a', 9);
    await slots.reserve('gone', 1, 'a', 9);
    await slots.reserve('gone', 1, 'b', 9);
    await slots.rewrite('a', [
      { function: 'hello', version: 1, count: 3 },
      { function: 'other', version: 2, count: 1 },
      { function: 'none', version: 1, count: 0 },
    ]);
    expect(await raw.hgetall('kiln:slots:hello:1')).toEqual({ a: '3' });
    expect(await raw.hgetall('kiln:slots:other:2')).toEqual({ a: '1' });
    expect(await raw.hgetall('kiln:slots:gone:1')).toEqual({ b: '1' });
    await slots.rewrite('a', []);
    expect(await raw.keys('kiln:slots:*')).toEqual(['kiln:slots:gone:1']);
  });
});

describe('keys', () => {
  const key: KeyRecord = { id: 'abc123', name: 'ci', scopes: ['deploy'], hash: 'f'.repeat(64), createdAt: new Date().toISOString() };

  it('are stored, listed and removed', async () => {
    const keys = new KeyStore(store);
    await keys.put(key);
    expect(await keys.list()).toEqual([key]);
    expect(await keys.remove('abc123')).toBe(true);
    expect(await keys.remove('abc123')).toBe(false);
    expect(await keys.list()).toEqual([]);
    await expect((async () => keys.put({ ...key, id: 'a:b' }))()).rejects.toMatchObject({ code: 'bad_request' });
  });
});

describe('logs', () => {
  it('come in order, in pages, filtered by request, level and time', async () => {
    const logs = new LogStore(store);
    await logs.append(Array.from({ length: 1200 }, (_, i) => logOf(`line ${i}`, i % 100 === 0 ? { level: 'error', requestId: 'r1' } : {})));
    const first = await logs.read('hello', { limit: 700 });
    expect(first.records.map(({ message }) => message).slice(-1)).toEqual(['line 699']);
    expect(first.more).toBe(true);
    const second = await logs.read('hello', { limit: 700, ...(first.last !== undefined && { after: first.last }) });
    expect(second.records).toHaveLength(500);
    expect(second.more).toBe(false);
    expect((await logs.read('hello', { limit: 100, ...(second.last !== undefined && { after: second.last }) })).records).toEqual([]);
    expect((await logs.read('hello', { limit: 100, level: 'warn' })).records).toHaveLength(12);
    expect((await logs.read('hello', { limit: 100, requestId: 'r1' })).records).toHaveLength(12);
    expect((await logs.read('hello', { limit: 100, since: new Date(Date.now() + 60_000).toISOString() })).records).toEqual([]);
    expect((await logs.read('hello', { limit: 1, since: new Date(Date.now() - 60_000).toISOString() })).records).toHaveLength(1);
    expect(await logs.read('nobody', { limit: 1 })).toEqual({ records: [], last: undefined, more: false });
  });

  it('keep about ten thousand lines, each cut to a bound', async () => {
    const logs = new LogStore(store);
    for (let i = 0; i < 11; i += 1) await logs.append(Array.from({ length: 1000 }, () => logOf('x')));
    expect(await raw.xlen('kiln:logs:hello')).toBeLessThan(10_500);
    await logs.append([logOf('y'.repeat(100_000), { function: 'other' })]);
    const { records } = await logs.read('other', { limit: 1 });
    expect(records[0]?.message).toBe(`${'y'.repeat(8192)}… (cut after 8192 characters)`);
  });
});
