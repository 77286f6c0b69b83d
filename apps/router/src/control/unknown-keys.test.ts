import type { FunctionRecord, VersionRecord } from '@kiln/contract/records/records';
import { rewriteRecord, storedRecord } from '@kiln/state/state.fixture';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { problemOf, TestCluster } from './cluster.fixture.js';

/** What a later version of Kiln wrote into every object of every record. */
const LATER = { future: { of: 'kiln' } };
const FUNCTION = '/v1/functions/f';

let cluster: TestCluster;
let raw: Redis;

beforeAll(async () => {
  cluster = await TestCluster.start();
  raw = new Redis(cluster.redis.url);
});
afterAll(async () => {
  raw?.disconnect();
  await cluster?.stop();
});

/** Two versions of `f`; the first one serves. All that is stored of them is of a later version of Kiln. */
beforeEach(async () => {
  await cluster.api('DELETE', FUNCTION);
  await raw.del('kiln:version-numbers', 'kiln:secret-numbers');
  for (const timeout of [1000, 2000]) await change('POST', `${FUNCTION}/versions`, { image: 'img:1', config: { timeout } });
  await change('PUT', `${FUNCTION}/traffic`, [{ version: 1, weight: 100 }]);
  await rewriteRecord(raw, 'kiln:functions', 'f');
  for (const version of ['1', '2']) await rewriteRecord(raw, 'kiln:versions:f', version);
});

async function change(method: string, path: string, body?: unknown) {
  const answer = await cluster.api(method, path, body);
  expect(answer.status, answer.text).toBeLessThan(300);
  return answer;
}
const shown = async <T>(path: string) => (await cluster.api('GET', path)).json<T>();
const storedFunction = () => storedRecord(raw, 'kiln:functions', 'f') as unknown as Promise<FunctionRecord>;
const storedVersion = (version: number) => storedRecord(raw, 'kiln:versions:f', String(version)) as unknown as Promise<VersionRecord>;

describe('a function and its versions with keys of a later Kiln', () => {
  it('are shown with them, and served', async () => {
    expect(await shown(FUNCTION)).toMatchObject({ ...LATER, traffic: [LATER] });
    expect(await shown('/v1/functions')).toMatchObject({ items: [LATER] });
    expect(await shown(`${FUNCTION}/traffic`)).toMatchObject([LATER]);
    const version = { ...LATER, config: LATER };
    expect(await shown(`${FUNCTION}/versions`)).toMatchObject({ items: [version, version] });
    await expect.poll(async () => (await cluster.callOf('f')).headers['x-kiln-version']).toBe('1');
  });

  it('keep them when the traffic moves and comes back', async () => {
    await change('PUT', `${FUNCTION}/traffic`, [
      { version: 1, weight: 40 },
      { version: 2, weight: 60 },
    ]);
    expect(await storedFunction()).toMatchObject({ ...LATER, traffic: [{ version: 1, weight: 40, ...LATER }, { version: 2 }] });
    await change('POST', `${FUNCTION}/rollback`);
    expect(await storedFunction()).toMatchObject({ ...LATER, traffic: [{ version: 1, weight: 100, ...LATER }] });
  });

  it('do not take the same traffic for another', async () => {
    const before = await storedFunction();
    await change('PUT', `${FUNCTION}/traffic`, [{ version: 1, weight: 100 }]);
    expect(await storedFunction()).toEqual(before);
  });

  it('keep them in a rollout, at its begin and at its end', async () => {
    await change('POST', `${FUNCTION}/rollout`, { version: 2, stages: [{ weight: 10, forMs: 60_000 }] });
    await rewriteRecord(raw, 'kiln:functions', 'f');
    expect(await shown(FUNCTION)).toMatchObject({ rollout: { ...LATER, limits: LATER, stages: [LATER], from: [LATER] } });
    await change('POST', `${FUNCTION}/rollback`);
    const after = { ...LATER, traffic: [{ version: 1, weight: 100, ...LATER }], rollout: { ...LATER, state: 'cancelled', limits: LATER } };
    expect(await storedFunction()).toMatchObject(after);
  });

  it('keep them when a version is deployed, pinned, or its source noted', async () => {
    await change('POST', `${FUNCTION}/versions`, { image: 'img:1', config: { timeout: 3000 } });
    expect(await storedFunction()).toMatchObject({ ...LATER, lastVersion: 3, previousTraffic: [LATER] });
    await change('PUT', `${FUNCTION}/versions/1/pin`);
    expect(await storedVersion(1)).toMatchObject({ ...LATER, pinned: true, config: LATER });
    await change('DELETE', `${FUNCTION}/versions/1/pin`);
    await cluster.functions.noteOrigin('f', 1, { project: 'p', sourceDigest: `sha256:${'a'.repeat(64)}` });
    expect(await storedVersion(1)).toMatchObject({ ...LATER, config: LATER });
    expect(await storedFunction()).toMatchObject({ ...LATER, project: 'p' });
  });

  it('keep them when old versions go', async () => {
    for (let timeout = 1; timeout <= 21; timeout += 1) {
      await cluster.functions.createVersion('f', { ...(await storedVersion(1)), config: { ...(await storedVersion(1)).config, timeout } });
    }
    expect(await raw.hexists('kiln:versions:f', '3')).toBe(0);
    for (const kept of [1, 2]) expect(await storedVersion(kept)).toMatchObject({ ...LATER, config: LATER });
    expect(await storedFunction()).toMatchObject(LATER);
  });

  it('are not made anew by kiln env where a key of the configuration is not known', async () => {
    expect(problemOf(await cluster.api('PATCH', FUNCTION, { config: { env: { A: 'b' } } }))).toEqual([400, 'bad_request']);
    expect(await raw.hlen('kiln:versions:f')).toBe(2);
  });

  it('give them to the version that is made of one by kiln env, unless it is of a later schema', async () => {
    await rewriteRecord(raw, 'kiln:versions:f', '1', (record) => ({
      ...record,
      config: { ...(record as VersionRecord).config, future: undefined },
    }));
    await change('PATCH', FUNCTION, { config: { env: { A: 'b' } } });
    expect(await storedVersion(3)).toMatchObject({ ...LATER, state: 'ready', config: { env: { A: 'b' } } });
    await rewriteRecord(raw, 'kiln:versions:f', '3', (record) => ({ ...record, schema: 2 }));
    expect(problemOf(await cluster.api('PATCH', FUNCTION, { config: { env: { A: 'c' } } }))).toEqual([409, 'conflict']);
  });
});

describe('a secret with keys of a later Kiln', () => {
  const put = (value: string) => change('PUT', '/v1/secrets/TOKEN', { value });

  it('is shown with them and keeps them with a new value, and so do the versions made for it', async () => {
    await put('one');
    await change('POST', `${FUNCTION}/versions`, { image: 'img:1', config: { secrets: ['TOKEN'] } });
    await rewriteRecord(raw, 'kiln:versions:f', '3');
    await rewriteRecord(raw, 'kiln:secrets', 'TOKEN');
    expect(await shown('/v1/secrets')).toMatchObject({ items: [LATER] });
    await put('two');
    expect(await storedRecord(raw, 'kiln:secrets', 'TOKEN')).toMatchObject({ ...LATER, revision: 2 });
    expect(await storedVersion(4)).toMatchObject({ ...LATER, secretRevisions: { TOKEN: 2 }, config: LATER });
  });
});

describe('a node, and an API key, with keys of a later Kiln', () => {
  it('are shown and left as they are', async () => {
    const { id } = (await change('POST', '/v1/keys', { name: 'one', scopes: ['read'] })).json<{ id: string }>();
    const before = await rewriteRecord(raw, 'kiln:keys', id);
    await change('POST', '/v1/keys', { name: 'two', scopes: ['read'] });
    expect(await storedRecord(raw, 'kiln:keys', id)).toEqual(before);
    expect(await shown('/v1/keys')).toMatchObject({ items: expect.arrayContaining([expect.objectContaining({ id, name: 'one' })]) });
    cluster.nodeSays = LATER;
    await expect.poll(() => shown('/v1/nodes')).toMatchObject({ items: [LATER] });
  });
});
