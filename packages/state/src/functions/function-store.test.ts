import { KilnError } from '@kiln/contract/errors';
import { startTestRedis, type TestRedis } from '@kiln/testing/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { draft } from '../state.fixture.js';
import { connectStore, type Store } from '../store/store.js';
import { FunctionStore } from './function-store.js';

let redis: TestRedis;
let store: Store;
let functions: FunctionStore;
let raw: Redis;
const errors: Error[] = [];

beforeAll(async () => {
  redis = await startTestRedis();
  store = connectStore(redis.url, { onError: (error) => errors.push(error) });
  await store.whenReady(5000);
  functions = new FunctionStore(store);
  raw = new Redis(redis.url);
});
afterAll(async () => {
  raw?.disconnect();
  await store?.close();
  await redis?.stop();
});

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'nothing was thrown',
    (error: unknown) => (error instanceof KilnError ? error.code : String(error)),
  );
}

describe('versions', () => {
  it('are numbered one after the other, however many are made at once', async () => {
    const made = await Promise.all(Array.from({ length: 30 }, () => functions.createVersion('many', draft)));
    expect(made.map(({ version }) => version).sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    expect(await functions.get('many')).toMatchObject({ lastVersion: 30, revision: 30, traffic: [] });
    expect((await functions.versions('many')).map(({ version }) => version)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  });

  it('come back as they were given, empty lists included', async () => {
    const made = await functions.createVersion('same', draft);
    expect(await functions.version('same', 1)).toEqual(made);
    expect(made).toMatchObject({ ...draft, state: 'pending', version: 1, function: 'same' });
  });

  it('keep who made them and why, and those of before, which say neither, are read', async () => {
    await functions.createVersion('noted', { ...draft, createdBy: 'ci', message: 'faster' });
    expect(await functions.version('noted', 1)).toMatchObject({ createdBy: 'ci', message: 'faster' });
    const { createdBy: _, message: __, ...old } = (await functions.version('noted', 1))!;
    await raw.hset('kiln:versions:noted', '1', JSON.stringify(old));
    expect(await functions.version('noted', 1)).toEqual(old);
  });

  it('never get a number again that a removed function had', async () => {
    await functions.createVersion('again', draft);
    await functions.createVersion('again', draft);
    await functions.remove('again');
    expect(await functions.get('again')).toBeUndefined();
    expect(await functions.versions('again')).toEqual([]);
    expect((await functions.createVersion('again', draft)).version).toBe(3);
  });

  it('remember where they come from; what is written again is what was said, and no more', async () => {
    const [first, second] = [`sha256:${'1'.repeat(64)}`, `sha256:${'2'.repeat(64)}`];
    await functions.createVersion('origin', { ...draft, sourceDigest: first }, { project: 'shop' });
    expect(await functions.get('origin')).toMatchObject({ project: 'shop', revision: 1 });
    expect(await functions.version('origin', 1)).toMatchObject({ sourceDigest: first });
    await functions.noteOrigin('origin', 1, {});
    await functions.noteOrigin('origin', 1, { sourceDigest: first, project: 'shop' });
    expect(await functions.get('origin')).toMatchObject({ project: 'shop', revision: 1 });
    await functions.noteOrigin('origin', 1, { sourceDigest: second });
    expect(await functions.version('origin', 1)).toMatchObject({ ...draft, sourceDigest: second, state: 'pending' });
    await functions.noteOrigin('origin', 1, { project: 'other' });
    expect(await functions.get('origin')).toMatchObject({ project: 'other', revision: 2 });
    await functions.createVersion('origin', draft);
    expect(await functions.get('origin')).toMatchObject({ project: 'other', lastVersion: 2 });
    expect(await functions.version('origin', 2)).not.toHaveProperty('sourceDigest');
  });

  it('are proved once', async () => {
    await functions.createVersion('proved', draft);
    expect((await functions.markReady('proved', 1)).state).toBe('ready');
    expect((await functions.markReady('proved', 1)).state).toBe('ready');
    expect(await codeOf(functions.markFailed('proved', 1, { code: 'start_failed', detail: 'x' }))).toBe('conflict');
    expect(await codeOf(functions.markReady('proved', 9))).toBe('version_not_found');
    await functions.createVersion('proved', draft);
    const failure = { code: 'start_failed', detail: 'exit code 1' };
    expect(await functions.markFailed('proved', 2, failure)).toMatchObject({ state: 'failed', failure });
  });
});

describe('a version that is proved', () => {
  it('says why a node could not try, goes to another, and is withdrawn only while it is pending', async () => {
    await functions.createVersion('tried', draft);
    const refusal = { node: 'node-1', code: 'no_capacity', detail: 'full' };
    expect(await functions.noteRefusal('tried', 1, refusal)).toMatchObject({ state: 'pending', refusal });
    expect(await functions.noteRefusal('tried', 1, { ...refusal, node: 'node-9' })).toMatchObject({ refusal });
    const moved = await functions.proveOn('tried', 1, 'node-2');
    expect(moved).toMatchObject({ state: 'pending', provingNode: 'node-2', refusal });
    expect(await functions.proveOn('tried', 1, 'node-1')).toMatchObject({ refusal: { node: 'node-2', code: 'unavailable' } });
    await functions.proveOn('tried', 1, 'node-2');
    await functions.noteRefusal('tried', 1, { ...refusal, node: 'node-2' });
    expect(await functions.markReady('tried', 1)).not.toHaveProperty('refusal');
    expect(await functions.proveOn('tried', 1, 'node-3')).toMatchObject({ provingNode: 'node-2' });
    expect(await functions.withdraw('tried', 1)).toMatchObject({ state: 'ready' });
    await functions.createVersion('tried', draft);
    expect(await functions.withdraw('tried', 2)).toBe('withdrawn');
    expect(await functions.withdraw('tried', 2)).toBe('withdrawn');
    expect((await functions.versions('tried')).map(({ version }) => version)).toEqual([1]);
    expect((await functions.createVersion('tried', draft)).version).toBe(3);
  });
});

describe('traffic', () => {
  it('moves only to versions that are ready, and remembers where it was', async () => {
    for (let i = 0; i < 3; i += 1) await functions.createVersion('moving', draft);
    await functions.markReady('moving', 1);
    await functions.markReady('moving', 2);
    const one = [{ version: 1, weight: 100 }];
    expect(await functions.setTraffic('moving', one)).toMatchObject({ traffic: one, previousTraffic: [], revision: 4 });
    const both = [
      { version: 1, weight: 90 },
      { version: 2, weight: 10 },
    ];
    expect(await functions.setTraffic('moving', both)).toMatchObject({ traffic: both, previousTraffic: one, revision: 5 });
    expect(await functions.setTraffic('moving', both)).toMatchObject({ revision: 5, previousTraffic: one });
    expect(await codeOf(functions.setTraffic('moving', [{ version: 3, weight: 100 }]))).toBe('conflict');
    expect(await codeOf(functions.setTraffic('moving', [{ version: 4, weight: 100 }]))).toBe('version_not_found');
    expect(await codeOf(functions.setTraffic('nobody', one))).toBe('function_not_found');
    expect(await functions.get('moving')).toMatchObject({ traffic: both, revision: 5 });
  });

  it('says whether clients keep their version, which stays until it is said anew and moves nothing to roll back to', async () => {
    const one = [{ version: 1, weight: 100 }];
    const two = [{ version: 2, weight: 100 }];
    for (const version of [1, 2]) {
      await functions.createVersion('stuck', draft);
      await functions.markReady('stuck', version);
    }
    expect(await functions.setTraffic('stuck', one)).toMatchObject({ sticky: false });
    expect(await functions.setTraffic('stuck', two, { sticky: true })).toMatchObject({ sticky: true, previousTraffic: one });
    expect(await functions.setTraffic('stuck', two, { sticky: false })).toMatchObject({
      sticky: false,
      previousTraffic: one,
      traffic: two,
    });
    await functions.setTraffic('stuck', two, { sticky: true });
    expect(await functions.setTraffic('stuck', one)).toMatchObject({ sticky: true });
    const { sticky: _, ...old } = (await functions.get('stuck'))!;
    await raw.hset('kiln:functions', 'stuck', JSON.stringify(old));
    expect(await functions.get('stuck')).toMatchObject({ sticky: false });
  });

  it('refuses a revision that is not the newest', async () => {
    await functions.createVersion('revised', draft);
    await functions.markReady('revised', 1);
    expect(await codeOf(functions.setTraffic('revised', [{ version: 1, weight: 100 }], { expectedRevision: 7 }))).toBe('conflict');
    expect((await functions.setTraffic('revised', [{ version: 1, weight: 100 }], { expectedRevision: 1 })).revision).toBe(2);
  });
});

describe('names', () => {
  it.each(['A', '', 'a:b', 'a\nb', '*', '__proto__', '../x'])('like %j enter no key', async (name) => {
    const attempts = [() => functions.get(name), () => functions.versions(name), () => functions.createVersion(name, draft)];
    for (const attempt of [...attempts, () => functions.setTraffic(name, []), () => functions.markReady(name, 1)]) {
      expect(await codeOf((async () => attempt())())).toBe('bad_request');
    }
    expect(await codeOf((async () => functions.remove(name))())).toBe('bad_request');
    expect(await codeOf((async () => functions.markReady('good', Number.NaN))())).toBe('bad_request');
    expect(await raw.keys(`*${name === '' || name === '*' ? 'versions::' : name}*`)).toEqual([]);
  });
});

describe('reading everything', () => {
  it('gives the same list again until something changes', async () => {
    await functions.createVersion('listed', draft);
    const first = await functions.listAll();
    expect(first.find((entry) => entry.function.name === 'listed')?.versions).toHaveLength(1);
    expect(await functions.listAll()).toBe(first);
    await functions.createVersion('listed', draft);
    const second = await functions.listAll();
    expect(second.find((entry) => entry.function.name === 'listed')?.versions).toHaveLength(2);
  });

  it('skips a broken record, and reports it once', async () => {
    await raw.hset('kiln:functions', 'broken', '{"name":"broken"', 'odd', '{"name":"odd"}');
    await raw.hset('kiln:versions:listed', '3', 'null');
    await raw.incr('kiln:function-changes');
    const before = errors.length;
    await functions.createVersion('other', draft);
    const all = await functions.listAll();
    await functions.createVersion('other', draft);
    await functions.listAll();
    expect(all.map((entry) => entry.function.name)).not.toContain('broken');
    expect(all.find((entry) => entry.function.name === 'listed')?.versions).toHaveLength(2);
    expect(errors.slice(before).map(({ message }) => message.replace(/:.*/, ''))).toEqual([
      'a record at kiln',
      'a record at kiln',
      'a record at kiln',
    ]);
  });
});
