import { KilnError } from '@kiln/contract/errors';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FunctionStore } from '../functions/function-store.js';
import { KeyStore } from '../key-store.js';
import { SecretStore } from '../secrets/secret-store.js';
import { draft } from '../state.fixture.js';
import { redis, withStore } from '../with-store.fixture.js';
import { connectStore, type Store } from './store.js';

withStore();

let raw: Redis;
const open: Store[] = [];

beforeAll(() => {
  raw = new Redis(redis.url);
});
afterAll(() => raw.disconnect());
beforeEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
  await raw.flushall();
});

/** A process, and what it says of its store. */
async function newProcess(): Promise<{ store: Store; functions: FunctionStore; keys: KeyStore; secrets: SecretStore; said: string[] }> {
  const said: string[] = [];
  const onTrouble = (trouble: { kind: string } | undefined) => said.push(trouble?.kind ?? 'well');
  const store = connectStore(redis.url, { onError: () => undefined, onTrouble });
  open.push(store);
  await store.whenReady(5000);
  return { store, functions: new FunctionStore(store), keys: new KeyStore(store), secrets: new SecretStore(store), said };
}

const key = { id: 'k', name: 'k', scopes: [], hash: 'h', createdAt: new Date().toISOString() };

async function refusalOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KilnError);
  expect(error).toMatchObject({ code: 'unavailable', fix: expect.stringMatching(/./) });
  return (error as KilnError).message;
}

describe('a store that was emptied', () => {
  it('is read as no order to remove anything, and takes no writes', async () => {
    const { store, functions, keys, secrets, said } = await newProcess();
    await functions.createVersion('f', draft);
    await keys.put(key);
    await raw.flushall();
    for (const attempt of [
      () => functions.listAll(),
      () => functions.get('f'),
      () => functions.versions('f'),
      () => keys.list(),
      () => secrets.list(),
      () => secrets.masterKey(),
      () => functions.createVersion('g', draft),
      () => functions.remove('f'),
      () => keys.put(key),
      () => keys.remove('k'),
      () => secrets.replaceMasterKey(undefined, { keyId: 'k1' }),
    ]) {
      expect(await refusalOf(attempt())).toMatch(/the store was emptied/);
    }
    expect(await raw.keys('kiln:*')).toEqual(['kiln:lost']);
    expect(store.trouble).toMatchObject({ kind: 'lost', detail: expect.stringContaining('emptied') });
    expect(said).toEqual(['lost']);
  });

  it('is no fresh one either for a process that starts later and knows nothing', async () => {
    const { functions } = await newProcess();
    await functions.createVersion('f', draft);
    await raw.flushall();
    await refusalOf(functions.listAll());
    const later = await newProcess();
    expect(await refusalOf(later.functions.listAll())).toMatch(/the store was emptied/);
    expect(await refusalOf(later.functions.createVersion('f', draft))).toMatch(/the store was emptied/);
    expect(await raw.get('kiln:mark')).toBeNull();
  });

  it('takes no write of the moment in which it is emptied', async () => {
    const { functions } = await newProcess();
    await functions.createVersion('f', draft);
    const mark = await raw.get('kiln:mark');
    // Between what a change reads and what it writes.
    const emptied = functions.stepRollout('f', ({ traffic, previousTraffic }) => {
      void raw.flushall();
      return { traffic, previousTraffic, rollout: undefined };
    });
    await refusalOf(emptied);
    expect([mark, await raw.hget('kiln:lost', 'mark')]).toEqual([mark, mark]);
    expect(await raw.exists('kiln:functions')).toBe(0);
  });
});

describe('a process that starts while others miss something', () => {
  it('knows the mark from them, and takes no store that is emptied again for one of a new cluster', async () => {
    const first = await newProcess();
    await first.functions.createVersion('f', draft);
    await raw.flushall();
    await refusalOf(first.functions.listAll());
    const late = await newProcess();
    await refusalOf(late.functions.listAll());
    await raw.flushall();
    expect(await refusalOf(late.functions.listAll())).toMatch(/was emptied/);
    expect(await raw.exists('kiln:mark')).toBe(0);
  });
});

describe('a store that has gone back', () => {
  it('is told by its counter, by every process as soon as one has seen it, and is whole again when it has come back', async () => {
    const [first, second] = [await newProcess(), await newProcess()];
    await first.functions.createVersion('f', draft);
    await second.functions.listAll();
    const changes = await raw.get('kiln:function-changes');
    await first.functions.createVersion('f', draft);
    await first.functions.listAll();
    const newest = await raw.get('kiln:function-changes');
    await raw.set('kiln:function-changes', Number(changes));
    expect(await refusalOf(first.functions.listAll())).toMatch(/gone back to change 1, and change 2 was seen/);
    expect(await refusalOf(second.functions.listAll())).toMatch(/gone back to change 1, and change 2 was seen/);
    await raw.multi().set('kiln:function-changes', Number(newest)).del('kiln:lost').exec();
    expect(await first.functions.listAll()).toHaveLength(1);
    expect(await second.functions.listAll()).toHaveLength(1);
    expect([first.said, second.said]).toEqual([
      ['lost', 'well'],
      ['lost', 'well'],
    ]);
  });
});

describe('the store of another cluster', () => {
  it('is not written to, and says which mark is missed', async () => {
    const { functions } = await newProcess();
    await functions.createVersion('f', draft);
    await raw.multi().flushall().set('kiln:mark', 'other').set('kiln:function-changes', 99).exec();
    expect(await refusalOf(functions.listAll())).toMatch(/has the mark other of another cluster/);
    expect(await refusalOf(functions.createVersion('f', draft))).toMatch(/another cluster/);
    expect((await raw.keys('kiln:*')).sort()).toEqual(['kiln:function-changes', 'kiln:mark']);
  });
});

describe('a whole store', () => {
  it('is a fresh one, one of a version that knew no marks, and one that was restarted', async () => {
    const fresh = await newProcess();
    expect(await fresh.functions.listAll()).toEqual([]);
    await fresh.functions.createVersion('f', draft);
    await raw.del('kiln:mark');
    const upgraded = await newProcess();
    expect(await upgraded.functions.listAll()).toHaveLength(1);
    await redis.kill();
    await redis.restart();
    await expect.poll(() => upgraded.store.ready, { timeout: 5000 }).toBe(true);
    expect(await upgraded.functions.listAll()).toHaveLength(1);
    expect([fresh.said, upgraded.said]).toEqual([[], []]);
  });

  it('removes what was removed by an order', async () => {
    const { functions } = await newProcess();
    const other = await newProcess();
    await functions.createVersion('f', draft);
    expect(await other.functions.listAll()).toHaveLength(1);
    await functions.remove('f');
    expect(await other.functions.listAll()).toEqual([]);
  });

  it('is given one mark, however many find none', async () => {
    const all = await Promise.all([newProcess(), newProcess(), newProcess(), newProcess()]);
    await Promise.all(all.map(({ functions }) => functions.listAll()));
    const marks = new Set(all.map(({ store }) => store.desired.lastSeen?.mark));
    expect([...marks]).toEqual([await raw.get('kiln:mark')]);
  });
});
