import type { VersionRecord } from '@kiln/contract/records/records';
import { SecretStore } from '@kiln/state/secrets/secret-store';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestCluster } from './cluster.fixture.js';

const KEPT = 20;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start();
  cluster.script = { ...cluster.script, prove: () => 'ready' };
});
afterAll(() => cluster?.stop());

const path = '/v1/functions/fn';
const set = (value: string) => cluster.api('PUT', '/v1/secrets/TOKEN', { value });
const made = async () => (await cluster.api('GET', `${path}/versions?limit=100`)).json<{ items: VersionRecord[] }>().items;
const stored = async () => (await new SecretStore(cluster.store).revisions()).map(({ revision }) => revision).sort();

it('a revision goes with the last version that was made with it; those of pinned and kept versions stay', async () => {
  await set('one');
  await cluster.api('POST', `${path}/versions`, { image: 'img:1', config: { secrets: ['TOKEN'] } });
  await cluster.api('PUT', `${path}/versions/1/pin`);
  for (const value of ['two', 'three']) await set(value);
  expect((await made()).map(({ version, secretRevisions }) => [version, secretRevisions])).toEqual([
    [1, { TOKEN: 1 }],
    [2, { TOKEN: 2 }],
    [3, { TOKEN: 3 }],
  ]);
  for (let i = 1; i < KEPT; i += 1) await cluster.api('PATCH', path, { config: { env: { I: String(i) } } });
  expect((await made()).map(({ version }) => version).slice(0, 2)).toEqual([1, 3]);
  expect(await stored(), 'the version that had 2 is gone, and 1 is of a pinned one').toEqual([1, 3]);
  await cluster.api('DELETE', `${path}/versions/1/pin`);
  await cluster.api('PATCH', path, { config: { env: { I: 'last' } } });
  expect((await made())[0]?.version).toBe(4);
  expect(await stored()).toEqual([3]);
});
