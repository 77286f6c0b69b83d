import { beforeEach, describe, expect, it } from 'vitest';
import { FunctionStore } from '../functions/function-store.js';
import { versionsToRemove } from '../functions/retention.js';
import { SecretStore } from '../secrets/secret-store.js';
import { draft, rewriteRecord } from '../state.fixture.js';
import { raw, store, withEmptyStore } from '../with-store.fixture.js';

withEmptyStore();

let functions: FunctionStore;
let secrets: SecretStore;

beforeEach(async () => {
  functions = new FunctionStore(store);
  secrets = new SecretStore(store);
  await functions.createVersion('f', draft);
  await functions.markReady('f', 1);
});

async function change(key: string, field: string, changes: object): Promise<string> {
  return JSON.stringify(await rewriteRecord(raw, key, field, (record) => ({ ...record, ...changes })));
}
const later = { schema: 2 };
const seal = (keyId: string) => () => ({ keyId, nonce: 'n', data: 'd' });

describe('a record of a later schema', () => {
  it('of a function is read and shown with its number, and refused to every change', async () => {
    const before = await change('kiln:functions', 'f', later);
    expect(await functions.get('f')).toMatchObject({ name: 'f', schema: 2 });
    expect((await functions.listAll())[0]?.function).toMatchObject({ schema: 2 });
    for (const write of [
      () => functions.createVersion('f', draft),
      () => functions.setTraffic('f', [{ version: 1, weight: 100 }]),
      () => functions.noteOrigin('f', 1, { project: 'p' }),
    ]) {
      await expect(write()).rejects.toMatchObject({ code: 'conflict', fix: 'upgrade every router and agent, then try again' });
    }
    expect(await raw.hget('kiln:functions', 'f')).toBe(before);
  });

  it('of a version is read and may get the traffic, and is neither changed nor withdrawn', async () => {
    const before = await change('kiln:versions:f', '1', later);
    expect(await functions.version('f', 1)).toMatchObject({ schema: 2 });
    expect((await functions.setTraffic('f', [{ version: 1, weight: 100 }])).traffic).toEqual([{ version: 1, weight: 100 }]);
    for (const write of [() => functions.pin('f', 1, true), () => functions.markReady('f', 1), () => functions.withdraw('f', 1)]) {
      await expect(write()).rejects.toMatchObject({ code: 'conflict' });
    }
    expect(await raw.hget('kiln:versions:f', '1')).toBe(before);
  });

  it('of a version does not go with age', async () => {
    const record = (await functions.get('f')) as NonNullable<Awaited<ReturnType<FunctionStore['get']>>>;
    const [first] = await functions.versions('f');
    const versions = [1, 2, 3].map((version) => ({ ...first!, version }));
    expect(versionsToRemove(record, versions, 1).map(({ version }) => version)).toEqual([1, 2]);
    expect(versionsToRemove(record, [{ ...versions[0]!, schema: 2 }, ...versions.slice(1)], 1).map(({ version }) => version)).toEqual([2]);
  });

  it('of a secret, a value and the master key is refused to every change', async () => {
    await secrets.replaceMasterKey(undefined, { keyId: 'k1' });
    await secrets.put(['A'], seal);
    const value = await change('kiln:secret-values', 'A@1', later);
    await expect(secrets.replaceValue({ name: 'A', revision: 1 }, (sealed) => sealed)).rejects.toMatchObject({ code: 'conflict' });
    const secret = await change('kiln:secrets', 'A', later);
    await expect(secrets.put(['A'], seal)).rejects.toMatchObject({ code: 'conflict' });
    await raw.set('kiln:master-key', '{"schema":2,"keyId":"k1"}');
    const key = await secrets.masterKey();
    await expect(secrets.replaceMasterKey(key, { keyId: 'k2' })).rejects.toMatchObject({ code: 'conflict' });
    expect(await raw.hmget('kiln:secrets', 'A')).toEqual([secret]);
    expect(await raw.hmget('kiln:secret-values', 'A@1')).toEqual([value]);
    expect(await raw.get('kiln:master-key')).toBe('{"schema":2,"keyId":"k1"}');
  });
});

describe('a record that cannot be read here', () => {
  it('of a function is not written over by a deployment of the same name', async () => {
    const before = await change('kiln:functions', 'f', { sticky: 'by-country' });
    await expect(functions.createVersion('f', draft)).rejects.toMatchObject({ code: 'conflict' });
    expect(await raw.hget('kiln:functions', 'f')).toBe(before);
  });

  it('of a secret is not written over by a new value', async () => {
    await secrets.replaceMasterKey(undefined, { keyId: 'k1' });
    await secrets.put(['A'], seal);
    const before = await change('kiln:secrets', 'A', { updatedAt: 7 });
    await expect(secrets.put(['A'], seal)).rejects.toMatchObject({ code: 'conflict' });
    expect(await raw.hget('kiln:secrets', 'A')).toBe(before);
  });
});
