import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN_KEY, buildsTo, built, problemOf, TestCluster } from './cluster.fixture.js';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
});
beforeEach(() => {
  cluster.script = { build: buildsTo(built('sha256:a', { timeout: 5000 })), prove: () => 'ready' };
});
afterAll(() => cluster?.stop());

const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/gzip' };

async function build(name: string, query = '') {
  const answer = await cluster.send('POST', `/v1/functions/${name}/builds${query}`, { headers, body: 'a tar' });
  expect(answer.status, answer.text).toBe(200);
  return { answer };
}

const trafficOf = async (name: string) => (await cluster.api('GET', `/v1/functions/${name}/traffic`)).json();

describe('a version', () => {
  it('tells in the history with whose key it was made, and why; the key itself is nowhere', async () => {
    const key = (await cluster.api('POST', '/v1/keys', { name: 'ci pipeline', scopes: ['deploy'] })).json<{ apiKey: string }>().apiKey;
    const answer = await cluster.send('POST', '/v1/functions/noted/builds?message=faster%20%26%20better', {
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/gzip' },
      body: 'a tar',
    });
    expect(answer.status, answer.text).toBe(200);
    const body = { image: 'registry.invalid/x:2', config: { timeout: 7 }, message: 'by hand' };
    expect((await cluster.api('POST', '/v1/functions/noted/versions', body, key)).status).toBe(201);
    expect((await cluster.api('PATCH', '/v1/functions/noted', { config: { timeout: 8 }, message: 'longer' })).status).toBe(200);
    const history = await cluster.api('GET', '/v1/functions/noted/versions');
    expect(history.json<{ items: { createdBy: string; message: string }[] }>().items).toMatchObject([
      { createdBy: 'ci pipeline', message: 'faster & better' },
      { createdBy: 'ci pipeline', message: 'by hand' },
      { createdBy: 'KILN_ADMIN_KEY', message: 'longer' },
    ]);
    expect(history.text).not.toContain(key);
  });

  it('without traffic is proved ready, and what served serves on', async () => {
    await build('held');
    cluster.script.build = buildsTo(built('sha256:b'));
    const { answer } = await build('held', '?traffic=none');
    const last = JSON.parse(answer.text.trim().split('\n').at(-1) ?? '') as object;
    expect(last).toMatchObject({ type: 'done', version: 2, changed: true });
    expect(last).not.toHaveProperty('rollback');
    expect(await cluster.functions.version('held', 2)).toMatchObject({ state: 'ready' });
    expect((await cluster.api('PATCH', '/v1/functions/held', { config: { timeout: 9 }, traffic: 'none' })).status).toBe(200);
    expect(await trafficOf('held')).toEqual([{ version: 1, weight: 100 }]);
  });

  it('is kept however old it is once it is pinned', async () => {
    await build('pinned');
    const pin = '/v1/functions/pinned/versions/1/pin';
    expect((await cluster.api('PUT', pin)).json()).toMatchObject({ version: 1, pinned: true });
    expect((await cluster.api('GET', '/v1/functions/pinned/versions')).json()).toMatchObject({ items: [{ pinned: true }] });
    expect((await cluster.api('DELETE', pin)).json()).not.toHaveProperty('pinned');
    expect(problemOf(await cluster.api('PUT', '/v1/functions/pinned/versions/9/pin'))).toEqual([404, 'version_not_found']);
    for (const wrong of ['0', 'x', '1e99', '%2e%2e']) {
      expect(problemOf(await cluster.api('PUT', `/v1/functions/pinned/versions/${wrong}/pin`))).toEqual([400, 'bad_request']);
    }
  });

  it('tells whether its image is gone from the nodes', async () => {
    cluster.script.build = buildsTo({ ...built('sha256:c'), image: 'missing' });
    await build('asleep');
    expect((await cluster.api('GET', '/v1/functions/asleep/versions/1/image')).json()).toEqual({ lost: true });
    cluster.script.build = buildsTo({ ...built('sha256:d'), image: 'here' });
    await build('asleep');
    expect((await cluster.api('GET', '/v1/functions/asleep/versions/2/image')).json()).toEqual({ lost: false });
    expect(problemOf(await cluster.api('GET', '/v1/functions/asleep/versions/3/image'))).toEqual([404, 'version_not_found']);
  });

  it('with a message that is no line is refused, and nothing is built', async () => {
    for (const query of ['message=a%0Ab', `message=${'x'.repeat(201)}`, 'massage=x']) {
      const answer = await cluster.send('POST', `/v1/functions/unsaid/builds?${query}`, { headers, body: 'a tar' });
      expect(problemOf(answer)).toEqual([400, 'bad_request']);
    }
    expect(cluster.requests.filter(({ url }) => url.includes('function=unsaid'))).toEqual([]);
  });
});
