import { KilnError } from '@kiln/contract/errors';
import type { SealedValue, SecretRevision } from '@kiln/contract/records/secrets';
import { startTestRedis, type TestRedis } from '@kiln/testing/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FunctionStore } from '../functions/function-store.js';
import { draft, removeAll } from '../state.fixture.js';
import { connectStore, type Store } from '../store/store.js';
import { SecretStore } from './secret-store.js';

let redis: TestRedis;
let store: Store;
let secrets: SecretStore;
let functions: FunctionStore;
let raw: Redis;

beforeAll(async () => {
  redis = await startTestRedis();
  store = connectStore(redis.url, { onError: () => undefined });
  await store.whenReady(5000);
  secrets = new SecretStore(store);
  functions = new FunctionStore(store);
  raw = new Redis(redis.url);
});
afterAll(async () => {
  raw?.disconnect();
  await store?.close();
  await redis?.stop();
});
beforeEach(async () => {
  await removeAll(raw);
  await secrets.replaceMasterKey(undefined, { keyId: 'k1' });
});

const sealed = (text: string, keyId = 'k1'): SealedValue => ({ keyId, nonce: 'n', data: text });
const set = (...names: string[]) =>
  secrets.put(
    names,
    (keyId) =>
      ({ name, revision }) =>
        sealed(`${name} ${revision}`, keyId),
  );
const free = async () => undefined;

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'nothing was thrown',
    (error: unknown) => (error instanceof KilnError ? error.code : String(error)),
  );
}

describe('secrets', () => {
  it('count their revisions, and keep each value', async () => {
    expect(await set('A')).toMatchObject([{ name: 'A', revision: 1 }]);
    expect(await set('B', 'A')).toMatchObject([
      { name: 'B', revision: 1 },
      { name: 'A', revision: 2 },
    ]);
    expect((await secrets.list()).map(({ name, revision }) => [name, revision])).toEqual([
      ['A', 2],
      ['B', 1],
    ]);
    const asked: SecretRevision[] = [
      { name: 'A', revision: 1 },
      { name: 'B', revision: 9 },
      { name: 'A', revision: 2 },
    ];
    expect((await secrets.values(asked)).map((value) => value?.data)).toEqual(['A 1', undefined, 'A 2']);
    expect((await secrets.get(['B', 'C'])).map(({ name }) => name)).toEqual(['B']);
  });

  it('get each revision once, however many are set at the same time', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => set('A', 'B')));
    const numbers = made.map(([a, b]) => [a?.revision, b?.revision]);
    expect(numbers.map(([a]) => a).sort((x, y) => Number(x) - Number(y))).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(numbers.every(([a, b]) => a === b)).toBe(true);
    expect((await secrets.values([{ name: 'B', revision: 20 }]))[0]?.data).toBe('B 20');
  });

  it('never get a revision again that was removed', async () => {
    await set('A');
    expect(await secrets.remove('A', free)).toBe(true);
    expect(await secrets.remove('A', free)).toBe(false);
    expect(await secrets.list()).toEqual([]);
    expect(await secrets.revisions()).toEqual([]);
    expect(await set('A')).toMatchObject([{ revision: 2 }]);
  });

  it('are sealed for the master key of the moment, also when it changes under the hand that sets them', async () => {
    let changed = false;
    await secrets.put(['A'], (keyId) => {
      if (!changed) void store.run((one) => one.set('kiln:master-key', JSON.stringify({ keyId: 'k2' })));
      changed = true;
      return () => sealed('a', keyId);
    });
    expect((await secrets.values([{ name: 'A', revision: 1 }]))[0]?.keyId).toBe('k2');
  });

  it('have a limit', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => `S${i}`);
    await set(...many);
    expect(await codeOf(set('ONE_MORE'))).toBe('conflict');
    await set('S5');
  });

  it.each(['', 'a-b', 'A@1', 'A B', '*', '__proto__', '1A', 'KILN_X'])('like %j enter no key', async (name) => {
    for (const attempt of [
      () => set(name),
      () => secrets.get([name]),
      () => secrets.values([{ name, revision: 1 }]),
      () => secrets.remove(name, free),
    ]) {
      expect(await codeOf((async () => attempt())())).toBe('bad_request');
    }
    expect(await codeOf((async () => secrets.values([{ name: 'A', revision: Number.NaN }]))())).toBe('bad_request');
  });
});

describe('a version', () => {
  const withA = (revision: number) => ({ ...draft, secretRevisions: { A: revision } });

  it('is made only while its secrets are there, and says with which it was', async () => {
    expect(await codeOf(functions.createVersion('f', withA(1)))).toBe('conflict');
    expect(await functions.get('f')).toBeUndefined();
    await set('A');
    expect(await functions.createVersion('f', withA(1))).toMatchObject({ version: 1, secretRevisions: { A: 1 } });
    expect((await functions.version('f', 1))?.secretRevisions).toEqual({ A: 1 });
  });

  it('of which a secret was removed gets no traffic', async () => {
    await set('A');
    await functions.createVersion('f', withA(1));
    await functions.markReady('f', 1);
    await secrets.remove('A', free);
    expect(await codeOf(functions.setTraffic('f', [{ version: 1, weight: 100 }]))).toBe('conflict');
    expect((await functions.get('f'))?.traffic).toEqual([]);
  });

  it('that is made while a secret is removed is seen by who removes it', async () => {
    await set('A');
    let looks = 0;
    const look = async () => {
      looks += 1;
      if (looks === 1) await functions.createVersion('f', withA(1));
      else throw new KilnError('conflict', 'it is used');
    };
    expect(await codeOf(secrets.remove('A', look))).toBe('conflict');
    expect(looks).toBe(2);
    expect(await secrets.list()).toHaveLength(1);
  });
});

describe('old revisions', () => {
  it('go when nobody needs them, and the newest never', async () => {
    for (let i = 0; i < 3; i += 1) await set('A', 'B');
    await secrets.dropOthers(async () => [{ name: 'A', revision: 1 }]);
    expect((await secrets.revisions()).map(({ name, revision }) => `${name}${revision}`).sort()).toEqual(['A1', 'A3', 'B3']);
  });

  it('stay when a function changes or a secret is set while they are looked at', async () => {
    await set('A');
    await set('A');
    await secrets.dropOthers(async () => {
      await functions.createVersion('f', { ...draft, secretRevisions: { A: 1 } });
      return [];
    });
    expect(await secrets.revisions()).toHaveLength(2);
    let looks = 0;
    await secrets.dropOthers(async () => {
      looks += 1;
      if (looks === 1) await set('A');
      return [{ name: 'A', revision: 1 }];
    });
    expect(looks).toBe(2);
    expect((await secrets.revisions()).map(({ revision }) => revision)).toEqual([1, 3]);
  });
});

describe('a value', () => {
  it('is replaced unless it is changed meanwhile: then as it is by then', async () => {
    await set('A');
    const seen: string[] = [];
    const replaced = await secrets.replaceValue({ name: 'A', revision: 1 }, (before) => {
      if (seen.push(before.keyId) === 1) void store.run((one) => one.hset('kiln:secret-values', 'A@1', JSON.stringify(sealed('x', 'k9'))));
      return sealed('y', 'k3');
    });
    expect([replaced, seen]).toEqual([true, ['k1', 'k9']]);
    expect(await secrets.replaceValue({ name: 'A', revision: 1 }, () => undefined)).toBe(false);
    expect(await secrets.replaceValue({ name: 'A', revision: 7 }, () => sealed('z'))).toBe(false);
    expect((await secrets.values([{ name: 'A', revision: 1 }]))[0]).toEqual(sealed('y', 'k3'));
  });
});

describe('the master key’s record', () => {
  it('changes only from what was read', async () => {
    expect(await secrets.masterKey()).toEqual({ keyId: 'k1' });
    expect(await secrets.replaceMasterKey(undefined, { keyId: 'k2' })).toBe(false);
    expect(await secrets.replaceMasterKey({ keyId: 'k1' }, { keyId: 'k2', previousKeyId: 'k1' })).toBe(true);
    expect(await secrets.replaceMasterKey({ keyId: 'k2', previousKeyId: 'k1' }, { keyId: 'k2' })).toBe(true);
    expect(await secrets.masterKey()).toEqual({ keyId: 'k2' });
  });
});
