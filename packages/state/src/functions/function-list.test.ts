import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { draft, removeAll } from '../state.fixture.js';
import { CHANGE_NOTES, CHANGES } from '../store/keys.js';
import { redis, store, withStore } from '../with-store.fixture.js';
import { FunctionStore } from './function-store.js';

/** What a Kiln of before runs where it changes something: it counts, and notes nothing. */
const WITHOUT_NOTE = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('INCR', KEYS[2])`;

withStore();

let raw: Redis;
let writer: FunctionStore;
let reader: FunctionStore;

beforeAll(() => {
  raw = new Redis(redis.url);
});
afterAll(() => raw?.disconnect());
beforeEach(async () => {
  await removeAll(raw);
  [writer, reader] = [new FunctionStore(store), new FunctionStore(store)];
  for (const name of ['a', 'b', 'c']) await writer.createVersion(name, draft);
  await reader.listAll();
});

const names = async () => (await reader.listAll()).map((entry) => entry.function.name);
const entryOf = async (name: string) => (await reader.listAll()).find((entry) => entry.function.name === name);

/** The keys of functions that were read from the store while `work` ran. */
async function readDuring(work: () => Promise<unknown>): Promise<string[]> {
  const pipelines: string[][] = [];
  const read = store.desired.read.bind(store.desired);
  const spied = vi.spyOn(store.desired, 'read').mockImplementation((fill) =>
    read((pipeline) => {
      fill(pipeline);
      const queue = (pipeline as unknown as { _queue: { name: string; args: string[] }[] })._queue;
      pipelines.push(queue.filter(({ name }) => name === 'EVAL').flatMap(({ args }) => args.slice(2).map(String)));
    }),
  );
  try {
    await work();
  } finally {
    spied.mockRestore();
  }
  return pipelines
    .flat()
    .filter((key) => key.startsWith('kiln:versions:'))
    .sort();
}

describe('a list of all functions', () => {
  it('reads after a change the function that was changed, and no other', async () => {
    const [a, b] = [await entryOf('a'), await entryOf('b')];
    await writer.markReady('b', 1);
    expect(await readDuring(() => reader.listAll())).toEqual(['kiln:versions:b']);
    expect(await entryOf('a')).toBe(a);
    expect(await entryOf('b')).not.toBe(b);
    expect((await entryOf('b'))?.versions).toMatchObject([{ version: 1, state: 'ready' }]);
  });

  it('has functions that came and lacks those that went, in the order of their names', async () => {
    await writer.createVersion('bb', draft);
    await writer.remove('a');
    await writer.createVersion('z', draft);
    expect(await readDuring(() => reader.listAll())).toEqual(['kiln:versions:a', 'kiln:versions:bb', 'kiln:versions:z']);
    expect(await names()).toEqual(['b', 'bb', 'c', 'z']);
    const stored = [...(await reader.stored())];
    const namesWith = (key: 'record' | 'versions') => stored.flatMap(([name, each]) => (each[key] === undefined ? [] : [name])).sort();
    expect([namesWith('record'), namesWith('versions')]).toEqual([
      ['b', 'bb', 'c', 'z'],
      ['b', 'bb', 'c', 'z'],
    ]);
    expect((await writer.createVersion('a', draft)).version).toBe(2);
    expect(await names()).toEqual(['a', 'b', 'bb', 'c', 'z']);
  });

  it('reads everything where a Kiln of before has written without a note, and goes by notes again after that', async () => {
    const other = JSON.stringify({ ...(await entryOf('a'))?.function, sticky: true });
    await raw.eval(WITHOUT_NOTE, 2, 'kiln:functions', CHANGES, 'a', other);
    await writer.markReady('c', 1);
    expect(await readDuring(() => reader.listAll())).toEqual(['kiln:versions:a', 'kiln:versions:b', 'kiln:versions:c']);
    expect((await entryOf('a'))?.function.sticky).toBe(true);
    await writer.pin('b', 1, true);
    expect(await readDuring(() => reader.listAll())).toEqual(['kiln:versions:b']);
  });

  it('reads everything where notes were given up, for there are many', async () => {
    await raw.del(CHANGE_NOTES);
    await writer.markReady('a', 1);
    await raw.xtrim(CHANGE_NOTES, 'MAXLEN', 0);
    expect(await readDuring(() => reader.listAll())).toHaveLength(3);
    expect((await entryOf('a'))?.versions[0]?.state).toBe('ready');
  });

  it('reads no function where a key or a secret was changed', async () => {
    const before = await reader.listAll();
    await store.desired.change('changed() return 1', [], []);
    expect(await readDuring(() => reader.listAll())).toEqual([]);
    expect((await reader.listAll()).map((entry) => entry.function.name)).toEqual(before.map((entry) => entry.function.name));
  });

  it('notes a bounded number of changes', async () => {
    for (let i = 0; i < 30; i += 1) {
      await Promise.all(Array.from({ length: 50 }, () => store.desired.change('changed() return 1', [], [], 'a')));
    }
    expect(await raw.xlen(CHANGE_NOTES)).toBeLessThan(1200);
    expect(await names()).toEqual(['a', 'b', 'c']);
  });

  it('is not torn by changes that come in while it is read', async () => {
    let over = false;
    const writing = (async () => {
      for (let i = 0; !over; i += 1) await writer.pin('b', 1, i % 2 === 0);
    })();
    for (let i = 0; i < 50; i += 1) expect(await names()).toEqual(['a', 'b', 'c']);
    over = true;
    await writing;
    const pinned = (await writer.version('b', 1))?.pinned;
    expect((await entryOf('b'))?.versions[0]?.pinned).toBe(pinned);
  });
});
