import { randomBytes } from 'node:crypto';
import type { SecretRecord, SecretsSet } from '@kiln/contract/records/secrets';
import { type MasterKey, type MasterKeys, parseMasterKey } from '@kiln/secrets/master-key';
import { open } from '@kiln/secrets/seal';
import { SecretStore } from '@kiln/state/secrets/secret-store';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startRouter } from '../router.js';
import { ADMIN_KEY, configFor, problemOf, TestCluster } from './cluster.fixture.js';

let cluster: TestCluster;
let store: SecretStore;
const OLD = configFor('redis://x').masterKeys?.own as MasterKey;

beforeAll(async () => {
  cluster = await TestCluster.start();
  store = new SecretStore(cluster.store);
});
beforeEach(() => {
  cluster.script = { ...cluster.script, prove: () => 'ready' };
});
afterEach(async () => {
  for (const name of ['fn', 'other']) await cluster.api('DELETE', `/v1/functions/${name}`);
  for (const { name } of await store.list()) expect((await cluster.api('DELETE', `/v1/secrets/${name}`)).status).toBe(204);
  expect(await store.revisions()).toEqual([]);
  // Numbers are never given twice: each test begins with the first again.
  await cluster.store.run((redis) => redis.del('kiln:version-numbers', 'kiln:secret-numbers'));
});
afterAll(() => cluster?.stop());

const put = (name: string, value: unknown) => cluster.api('PUT', `/v1/secrets/${name}`, { value });
const set = async (name: string, value: string) => (await put(name, value)).json<SecretsSet>();
const deploy = (name: string, config: object) => cluster.api('POST', `/v1/functions/${name}/versions`, { image: 'img:1', config });
const trafficOf = async (name: string) => (await cluster.api('GET', `/v1/functions/${name}/traffic`)).json();
const listed = async () => (await cluster.api('GET', '/v1/secrets')).json<{ items: SecretRecord[] }>().items;

describe('a secret', () => {
  it('is stored sealed, listed by name and revision, and never told', async () => {
    const answer = await put('TOKEN', 'the-value');
    expect(answer.json()).toEqual({
      secrets: [{ name: 'TOKEN', revision: 1, createdAt: expect.any(String), updatedAt: expect.any(String) }],
      functions: [],
    });
    await set('TOKEN', 'the-second-value');
    const list = await cluster.api('GET', '/v1/secrets');
    expect(list.json()).toMatchObject({ items: [{ name: 'TOKEN', revision: 2 }], next: null });
    for (const { text } of [answer, list]) expect(text).not.toContain('value');
    const [sealed] = await store.values([{ name: 'TOKEN', revision: 2 }]);
    expect(open(sealed!, OLD, { name: 'TOKEN', revision: 2 })).toBe('the-second-value');
    expect(await store.revisions()).toEqual([{ name: 'TOKEN', revision: 2 }]);
  });

  it.each([
    ['TOKEN', undefined],
    ['TOKEN', 7],
    ['TOKEN', ''],
    ['TOKEN', 'a\0b'],
    ['TOKEN', 'ü'.repeat(32_769)],
    ['TOKEN', '\ud800'],
    ['a-b', 'x'],
    ['1A', 'x'],
    ['KILN_X', 'x'],
    ['PORT', 'x'],
    ['__proto__', 'x'],
    ['A%2FB', 'x'],
  ])('like %s=%j is refused, and the value is not told back', async (name, value) => {
    const answer = await put(name, value);
    expect(problemOf(answer)).toEqual([400, 'bad_request']);
    expect(answer.text).not.toContain('üü');
    expect(await listed()).toEqual([]);
  });

  it('may be as long as 64 KiB', async () => {
    expect((await put('LONG', 'ü'.repeat(32_768))).status).toBe(200);
  });

  it('in a body that is not JSON is not told back either', async () => {
    const answer = await cluster.send('PUT', '/v1/secrets/TOKEN', {
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      body: '{"value": hunter2}',
    });
    expect(problemOf(answer)).toEqual([400, 'bad_request']);
    expect(answer.text).not.toMatch(/hunter2|unter/);
  });

  it('can be set with others in one change, all or none', async () => {
    const bad = await cluster.api('PATCH', '/v1/secrets', { values: { A: 'a', B: '' } });
    expect(problemOf(bad)).toEqual([400, 'bad_request']);
    expect(await listed()).toEqual([]);
    expect(problemOf(await cluster.api('PATCH', '/v1/secrets', { values: {} }))).toEqual([400, 'bad_request']);
    await set('A', 'x');
    await set('B', 'y');
    await deploy('fn', { secrets: ['A', 'B'] });
    const both = await cluster.api('PATCH', '/v1/secrets', { values: { A: 'x2', B: 'y2' } });
    expect(both.json<SecretsSet>().functions).toEqual([{ function: 'fn', versions: [2] }]);
  });
});

describe('a deployment', () => {
  it('with a secret that is not stored is refused, naming the field', async () => {
    await set('A', 'a');
    const answer = await deploy('fn', { secrets: ['A', 'NOPE'] });
    expect(problemOf(answer)).toEqual([400, 'bad_request']);
    expect(answer.text).toMatch(/config\.secrets\[1\] names NOPE, and no such secret is stored/);
  });

  it('with a name twice, or as a plain variable too, is refused', async () => {
    await set('A', 'a');
    expect((await deploy('fn', { secrets: ['A', 'A'] })).text).toMatch(/config\.secrets\[1\] A is named twice/);
    expect((await deploy('fn', { secrets: ['A'], env: { A: 'plain' } })).text).toMatch(
      /config\.secrets\[0\] A is a plain variable in env too/,
    );
  });

  it('says with which revision it was made, and is a change when only the secret is', async () => {
    await set('A', 'a');
    expect((await deploy('fn', { secrets: ['A'] })).json()).toMatchObject({ version: 1, changed: true });
    expect((await cluster.functions.version('fn', 1))?.secretRevisions).toEqual({ A: 1 });
    expect((await deploy('fn', { secrets: ['A'] })).json()).toMatchObject({ version: 1, changed: false });
    cluster.script.prove = () => ({ code: 'start_failed', detail: 'not with this' });
    await set('A', 'b');
    cluster.script.prove = () => 'ready';
    expect((await deploy('fn', { secrets: ['A'] })).json()).toMatchObject({ version: 3, changed: true });
  });

  it('during which a secret is set ends with the new one serving', async () => {
    await set('A', 'a');
    cluster.script.prove = () => 'wait';
    const deploying = deploy('fn', { secrets: ['A'] });
    await expect.poll(async () => (await cluster.functions.version('fn', 1))?.state).toBe('pending');
    await set('A', 'b');
    cluster.script.prove = () => 'ready';
    expect((await deploying).json()).toMatchObject({ version: 2 });
    expect((await cluster.functions.version('fn', 2))?.secretRevisions).toEqual({ A: 2 });
    expect(await trafficOf('fn')).toEqual([{ version: 2, weight: 100 }]);
  });
});

describe('changing variables', () => {
  it('from a revision that is not the newest any more changes nothing', async () => {
    await deploy('fn', { env: { A: '1' } });
    const revision = (await cluster.functions.get('fn'))?.revision as number;
    const patch = (ifMatch: number, env: object) =>
      cluster.send('PATCH', '/v1/functions/fn', {
        headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json', 'if-match': `"${ifMatch}"` },
        body: JSON.stringify({ config: { env } }),
      });
    expect(problemOf(await patch(revision - 1, { A: '2' }))).toEqual([409, 'conflict']);
    expect((await patch(revision, { A: '3' })).json()).toMatchObject({ version: 2, changed: true });
    expect(problemOf(await patch(revision, { A: '4' }))).toEqual([409, 'conflict']);
    expect((await cluster.functions.versions('fn')).map(({ config }) => config.env)).toEqual([{ A: '1' }, { A: '3' }]);
  });
});

describe('setting a secret', () => {
  it('makes a new version of each function that serves with it, and of no other', async () => {
    await set('A', 'a');
    await deploy('fn', { secrets: ['A'], timeout: 777 });
    await deploy('other', {});
    expect((await set('A', 'b')).functions).toEqual([{ function: 'fn', versions: [2] }]);
    expect(await trafficOf('fn')).toEqual([{ version: 2, weight: 100 }]);
    const version = await cluster.functions.version('fn', 2);
    expect(version).toMatchObject({ secretRevisions: { A: 2 }, config: { timeout: 777 }, message: 'secret A changed' });
    expect(version?.createdBy).toBe('KILN_ADMIN_KEY');
    expect(await store.revisions()).toHaveLength(2);
  });

  it('keeps the weights of several versions, and leaves one without it alone', async () => {
    await set('A', 'a');
    await deploy('fn', {});
    await deploy('fn', { secrets: ['A'] });
    await deploy('fn', { secrets: ['A'], timeout: 5 });
    const weights = [
      { version: 1, weight: 20 },
      { version: 2, weight: 50 },
      { version: 3, weight: 30 },
    ];
    await cluster.api('PUT', '/v1/functions/fn/traffic', weights);
    expect((await set('A', 'b')).functions).toEqual([{ function: 'fn', versions: [1, 4, 5] }]);
    expect(await trafficOf('fn')).toEqual([
      { version: 1, weight: 20 },
      { version: 4, weight: 50 },
      { version: 5, weight: 30 },
    ]);
  });

  it('lets a rollout go on, with the new versions in its stage', async () => {
    await set('A', 'a');
    await deploy('fn', { secrets: ['A'] });
    await cluster.api('PATCH', '/v1/functions/fn', { config: { timeout: 5 }, traffic: 'none' });
    const stages = [{ weight: 10, forMs: 60_000 }];
    expect((await cluster.api('POST', '/v1/functions/fn/rollout', { version: 2, stages })).status).toBe(200);
    const removed = await cluster.api('DELETE', '/v1/secrets/A');
    expect(problemOf(removed)).toEqual([409, 'conflict']);
    expect((await set('A', 'b')).functions).toEqual([{ function: 'fn', versions: [3, 4] }]);
    const record = await cluster.functions.get('fn');
    expect(record?.traffic).toEqual([
      { version: 3, weight: 90 },
      { version: 4, weight: 10 },
    ]);
    expect(record?.rollout).toMatchObject({ state: 'running', version: 4, from: [{ version: 3, weight: 100 }], stage: 0 });
    expect((await cluster.functions.version('fn', 4))?.config.timeout).toBe(5);
  });

  it('with which a function can not start says so, and what served serves on', async () => {
    await set('A', 'a');
    await deploy('fn', { secrets: ['A'] });
    cluster.script.prove = () => ({ code: 'start_failed', detail: 'exit code 1' });
    const { secrets, functions } = await set('A', 'bad');
    expect(secrets).toMatchObject([{ revision: 2 }]);
    expect(functions).toEqual([{ function: 'fn', failed: { code: 'start_failed', detail: 'exit code 1' } }]);
    expect(await trafficOf('fn')).toEqual([{ version: 1, weight: 100 }]);
  });
});

describe('removing a secret', () => {
  it('is a conflict while a serving version uses it, and names the functions', async () => {
    await set('A', 'a');
    await deploy('fn', { secrets: ['A'] });
    await deploy('other', { secrets: ['A'] });
    const answer = await cluster.api('DELETE', '/v1/secrets/A');
    expect(problemOf(answer)).toEqual([409, 'conflict']);
    expect(answer.text).toContain('used by fn, other');
    expect(problemOf(await cluster.api('DELETE', '/v1/secrets/B'))).toEqual([404, 'not_found']);
  });

  it('leaves versions that nobody can go back to', async () => {
    await set('A', 'a');
    await deploy('fn', { secrets: ['A'] });
    expect((await cluster.api('PATCH', '/v1/functions/fn', { config: { secrets: [] } })).json()).toMatchObject({ version: 2 });
    expect((await cluster.api('DELETE', '/v1/secrets/A')).status).toBe(204);
    expect(await store.revisions()).toEqual([]);
    const back = await cluster.api('POST', '/v1/functions/fn/rollback');
    expect(problemOf(back)).toEqual([409, 'conflict']);
    expect(back.text).toMatch(/a secret that this version of \\"fn\\" was made with was removed/);
    expect(await trafficOf('fn')).toEqual([{ version: 2, weight: 100 }]);
  });
});

describe('a router', () => {
  const newKey = () => parseMasterKey(randomBytes(32).toString('hex')) as MasterKey;
  const start = (masterKeys: MasterKeys | undefined) =>
    startRouter({ ...configFor(cluster.redis.url), masterKeys }, pino({ level: 'silent' }));

  it('with another master key, or with none, does not start', async () => {
    await expect(start({ own: newKey(), previous: undefined, source: 'KILN_MASTER_KEY' })).rejects.toThrowError(
      /^KILN_MASTER_KEY holds the master key/,
    );
    await expect(start(undefined)).rejects.toThrowError(/^KILN_MASTER_KEY is not set/);
  });

  it('rotates only when every node has the new key, and then opens all with it', async () => {
    await set('A', 'a');
    await set('B', 'b');
    await deploy('fn', { secrets: ['A'] });
    const young = newKey();
    const router = await start({ own: young, previous: OLD, source: 'KILN_MASTER_KEY' });
    const ask = (method: string, path: string, body?: object) =>
      fetch(`${router.controlUrl}${path}`, {
        method,
        headers: { authorization: `Bearer ${ADMIN_KEY}`, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
      });
    try {
      const early = await ask('POST', '/v1/secrets/rotate');
      expect([early.status, await early.text()]).toEqual([409, expect.stringMatching(/not known yet to node-1/)]);
      expect((await ask('PUT', '/v1/secrets/B', { value: 'b2' })).status).toBe(200);
      expect((await store.values([{ name: 'B', revision: 2 }]))[0]?.keyId).toBe(OLD.id);

      cluster.masterKeys = [young.id, OLD.id];
      await expect.poll(async () => (await ask('POST', '/v1/secrets/rotate')).status, { timeout: 10_000 }).toBe(200);
      expect(await store.masterKey()).toEqual({ keyId: young.id });
      for (const [name, revision, value] of [
        ['A', 1, 'a'],
        ['B', 2, 'b2'],
      ] as const) {
        const [sealed] = await store.values([{ name, revision }]);
        expect(open(sealed!, young, { name, revision })).toBe(value);
      }
      expect(problemOf(await put('C', 'c'))).toEqual([409, 'conflict']);
      expect((await ask('PUT', '/v1/secrets/C', { value: 'c' })).status).toBe(200);
      expect(await (await ask('POST', '/v1/secrets/rotate')).json()).toEqual({ keyId: young.id, resealed: 0, unreadable: [] });
    } finally {
      await router.stop();
      await cluster.store.run((redis) => redis.set('kiln:master-key', JSON.stringify({ keyId: OLD.id })));
    }
  });
});
