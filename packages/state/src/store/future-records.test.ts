import { beforeEach, describe, expect, it } from 'vitest';
import { FunctionStore } from '../functions/function-store.js';
import { RolloutStore } from '../functions/rollout-store.js';
import { KeyStore } from '../key-store.js';
import { LogStore } from '../logs/log-store.js';
import { NodeStore } from '../node-store.js';
import { SecretStore } from '../secrets/secret-store.js';
import { draft, logOf, nodeOf, rewriteRecord, storedRecord } from '../state.fixture.js';
import { raw, reported, store, withEmptyStore } from '../with-store.fixture.js';

withEmptyStore();

let functions: FunctionStore;

beforeEach(() => {
  functions = new FunctionStore(store);
});

const rewrite = (key: string, field: string, change?: (record: object) => unknown) => rewriteRecord(raw, key, field, change);
const stored = (key: string, field: string) => storedRecord(raw, key, field);

async function twoVersions(): Promise<void> {
  for (const version of [1, 2]) {
    await functions.createVersion('f', draft);
    await functions.markReady('f', version);
  }
  await functions.setTraffic('f', [{ version: 1, weight: 100 }]);
}

describe('a record with keys of a later version of Kiln', () => {
  it('of a function is read, and keeps them through every change', async () => {
    await twoVersions();
    const startedAt = new Date().toISOString();
    await functions.stepRollout('f', ({ traffic, previousTraffic }) => ({
      ...{
        traffic: [
          { version: 1, weight: 90 },
          { version: 2, weight: 10 },
        ],
        previousTraffic,
      },
      rollout: {
        ...{ version: 2, stages: [{ weight: 10, forMs: 1000 }], limits: { maxErrors: 2, maxP95: 1.5, minRequests: 50 }, stage: 0 },
        ...{ stageStartedAt: startedAt, state: 'running', from: traffic, previous: [], startedAt },
      },
    }));
    const future = (await rewrite('kiln:functions', 'f')) as { rollout: object };
    expect(await functions.get('f')).toEqual(future);
    await functions.noteOrigin('f', 1, { project: 'p' });
    await functions.createVersion('f', draft);
    expect(await stored('kiln:functions', 'f')).toEqual({
      ...future,
      project: 'p',
      lastVersion: 3,
      revision: 6,
      updatedAt: expect.any(String),
    });
    expect((await functions.setTraffic('f', [{ version: 2, weight: 100 }])).rollout).toMatchObject({
      ...future.rollout,
      state: 'cancelled',
    });
  });

  it('of a version is read, served and kept', async () => {
    await twoVersions();
    const future = await rewrite('kiln:versions:f', '1');
    expect((await functions.listAll())[0]?.versions[0]).toEqual(future);
    await functions.pin('f', 1, true);
    expect(await stored('kiln:versions:f', '1')).toEqual({ ...future, pinned: true });
    expect((await functions.setTraffic('f', [{ version: 1, weight: 100 }])).traffic).toEqual([{ version: 1, weight: 100 }]);
  });

  it('of a secret, its value and the master key is read', async () => {
    const secrets = new SecretStore(store);
    await secrets.replaceMasterKey(undefined, { keyId: 'k1' });
    await secrets.put(['A'], (keyId) => () => ({ keyId, nonce: 'n', data: 'd' }));
    const future = await rewrite('kiln:secrets', 'A');
    const value = await rewrite('kiln:secret-values', 'A@1');
    await raw.set('kiln:master-key', JSON.stringify({ keyId: 'k1', future: 1 }));
    expect([await secrets.list(), await secrets.values([{ name: 'A', revision: 1 }])]).toEqual([[future], [value]]);
    expect(await secrets.masterKey()).toEqual({ keyId: 'k1', future: 1 });
    expect(await secrets.replaceValue({ name: 'A', revision: 1 }, (before) => ({ ...before, data: 'e' }))).toBe(true);
    expect(await stored('kiln:secret-values', 'A@1')).toEqual({ ...value, data: 'e' });
    await secrets.put(['A'], (keyId) => () => ({ keyId, nonce: 'n', data: 'd' }));
    expect(await stored('kiln:secrets', 'A')).toEqual({ ...future, revision: 2, updatedAt: expect.any(String) });
  });

  it('of the master key is replaced in whatever order its keys stand', async () => {
    const secrets = new SecretStore(store);
    await raw.set('kiln:master-key', JSON.stringify({ future: 1, keyId: 'k1' }));
    const before = await secrets.masterKey();
    expect(await secrets.replaceMasterKey(before, { ...before, keyId: 'k2' })).toBe(true);
    expect(await secrets.masterKey()).toEqual({ keyId: 'k2', future: 1 });
  });

  it('of a key is read, with the scopes that are known here', async () => {
    const keys = new KeyStore(store);
    await keys.put({ id: 'k', name: 'n', scopes: ['read'], hash: 'h', createdAt: new Date().toISOString() });
    await rewrite('kiln:keys', 'k', (record) => ({ ...record, scopes: ['read', 'teleport'], pair: 'secret' }));
    expect(await keys.list()).toMatchObject([{ id: 'k', scopes: ['read'] }]);
  });

  it('of a node, of the counts of a rollout and of a log line is read', async () => {
    await new NodeStore(store).heartbeat(nodeOf('a'));
    await rewrite('kiln:nodes', 'a');
    expect(await new NodeStore(store).list()).toMatchObject([{ id: 'a', alive: true }]);
    const rollouts = new RolloutStore(store);
    const tally = { requests: 1, errors: 0, durations: [[1, 1] as [number, number]] };
    await rollouts.report('f', 'r', { stage: 's', fresh: tally, old: tally });
    await rewrite('kiln:rollout-counts:f', 'r');
    expect(await rollouts.counts('f')).toMatchObject([{ stage: 's', fresh: tally }]);
    const logs = new LogStore(store);
    await raw.xadd('kiln:logs:hello', '*', 'r', JSON.stringify({ ...logOf('line'), level: 'notice', future: 1 }));
    expect((await logs.read('hello', { limit: 10 })).records).toMatchObject([{ message: 'line' }]);
    expect(reported).toEqual([]);
  });
});

describe('a value that a later version of Kiln made up', () => {
  it('takes its own version out of use, says so once, and no other version or function', async () => {
    await twoVersions();
    await functions.createVersion('other', draft);
    await rewrite('kiln:versions:f', '2', (record) => ({ ...record, kind: 'wasm' }));
    const again = new FunctionStore(store);
    for (let i = 0; i < 3; i += 1) {
      const all = await again.listAll();
      expect(all.map((entry) => [entry.function.name, entry.versions.map(({ version }) => version), entry.unread])).toEqual([
        ['f', [1], [2]],
        ['other', [1], undefined],
      ]);
      await functions.createVersion('other', draft);
      await functions.withdraw('other', i + 2);
    }
    expect(reported.filter((message) => message.includes('kiln:versions:f 2'))).toHaveLength(1);
  });

  it('does not take from a process what it has read before, nor an image or a secret from anybody', async () => {
    await twoVersions();
    expect((await functions.listAll())[0]?.versions).toHaveLength(2);
    await rewrite('kiln:versions:f', '2', (record) => ({ ...record, kind: 'wasm', secretRevisions: { A: 3 } }));
    await rewrite('kiln:functions', 'f', (record) => ({ ...record, sticky: 'by-country' }));
    await functions.createVersion('other', draft);
    expect((await functions.listAll()).map((entry) => [entry.function.name, entry.versions.length])).toEqual([
      ['f', 2],
      ['other', 1],
    ]);
    const fresh = new FunctionStore(store);
    expect((await fresh.listAll()).map((entry) => entry.function.name)).toEqual(['other']);
    expect((await fresh.needs()).filter((needs) => needs.function === 'f')).toMatchObject([
      { version: 1, image: 'sha256:abc', secretRevisions: [] },
      { version: 2, image: 'sha256:abc', secretRevisions: [{ name: 'A', revision: 3 }] },
    ]);
  });
});
