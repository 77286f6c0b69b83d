import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { errorOf, fixture } from '../support/inside.js';

const NAME = 'steady';
const KEPT = 20;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
  await cluster.deploy(fixture(NAME), { name: NAME, config: { memory: 64 } });
});
afterAll(() => cluster?.stop());

const add = (i: number) => cluster.client.functions.patch(NAME, { env: { GREETING: String(i) } }, { traffic: 'none' });

it('old versions go with new ones: what runs in them ends in peace, what is pinned or serves stays', async () => {
  for (let i = 2; i <= 3; i += 1) await add(i);
  await cluster.client.pins.add(NAME, 3);
  let finished = 0;
  let leftover: Awaited<ReturnType<Cluster['call']>> | undefined;
  const gone = async () => !(await cluster.versions(NAME)).some(({ version }) => version === 2);
  // One call after the other until the version is not there any more; the last one began while it was.
  const calls = (async () => {
    while (leftover === undefined) {
      const answer = await cluster.call(`/fn/${NAME}@2/stream`);
      if (answer.status === 200) expect(answer.text).toMatch(/end\n$/);
      if (answer.status === 200) finished += 1;
      else leftover = answer;
    }
  })();
  for (let i = 4; i <= KEPT + 2; i += 1) await add(i);
  expect(await gone()).toBe(true);
  await calls;
  expect([leftover?.status, errorOf(leftover as NonNullable<typeof leftover>)]).toEqual([404, 'version_not_found']);
  expect(finished).toBeGreaterThan(0);
  await until('nothing of it runs', async () => (await cluster.containers(NAME)).every(({ version }) => version !== '2'));
  const kept = (await cluster.versions(NAME)).map(({ version }) => version);
  expect(kept).toEqual([1, ...Array.from({ length: KEPT }, (_, i) => i + 3)]);
  expect((await cluster.call(`/fn/${NAME}@3/`)).status).toBe(200);
  expect((await cluster.call(`/fn/${NAME}/`)).headers['x-kiln-version']).toBe('1');
}, 300_000);
