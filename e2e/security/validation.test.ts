import { call } from '@kiln/testing/call';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { example } from '../support/inside.js';

let cluster: Cluster;
let image: string;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
  ({ image } = await cluster.deploy(example('hello'), { name: 'good' }));
});
afterAll(() => cluster?.stop());

interface Problem {
  code: string;
  detail: string;
  fields?: { field: string }[];
}

async function functions(): Promise<string[]> {
  return (await cluster.api('GET', '/v1/functions')).json<{ items: { name: string }[] }>().items.map(({ name }) => name);
}

/** 400 that names the field, and nothing came into being. */
async function refused(method: string, path: string, body: unknown, field: string | RegExp): Promise<void> {
  const before = await functions();
  const versionsBefore = (await cluster.versions('good')).length;
  const answer = await cluster.api(method, path, body);
  const problem = answer.json<Problem>();
  expect([answer.status, problem.code], answer.text).toEqual([400, 'bad_request']);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(`${problem.detail} ${problem.fields?.map((entry) => entry.field).join(' ')}`).toMatch(field);
  expect(await functions()).toEqual(before);
  expect(await cluster.versions('good')).toHaveLength(versionsBefore);
}

describe('a name', () => {
  it.each(['A', '1a', 'a_b', 'a.b', '-a', 'a-', 'x'.repeat(64), '__proto__', '%2e%2e', 'a%2fb', 'a%00b', 'a%0ab', '*', '%C3%A9'])(
    'like %s is refused on every way in',
    async (name) => {
      await refused('POST', `/v1/functions/${name}/versions`, { image, config: {} }, /name/);
      await refused('GET', `/v1/functions/${name}`, undefined, /name/);
      await refused('PUT', `/v1/functions/${name}/traffic`, [{ version: 1, weight: 100 }], /name/);
      const build = await call(cluster.router.ports.control, `/v1/functions/${name}/builds`, {
        method: 'POST',
        headers: { authorization: `Bearer ${cluster.shared.adminKey}`, 'content-type': 'application/gzip' },
        body: 'not even a tar',
      });
      expect(build.status, build.text).toBe(400);
    },
  );
});

describe('a configuration', () => {
  it.each([
    [{ timeout: 0 }, /config\.timeout/],
    [{ timeout: 900_001 }, /config\.timeout/],
    [{ timeout: '5000' }, /config\.timeout/],
    [{ memory: -1 }, /config\.memory/],
    [{ memory: 1e18 }, /config\.memory/],
    [{ cpu: 0 }, /config\.cpu/],
    [{ concurrency: 0 }, /config\.concurrency/],
    [{ port: 70_000 }, /config\.port/],
    [{ auth: 'maybe' }, /config\.auth/],
    [{ env: { 'A=B': 'x' } }, /config\.env/],
    [{ env: { KILN_SOCKET: '/x' } }, /KILN_SOCKET/],
    [{ env: { A: 'a\0b' } }, /config\.env/],
    [{ minInstances: 3, maxInstances: 2 }, /minInstances/],
    [{ timeOut: 5000 }, /timeOut.*timeout/],
    [{ privileged: true }, /privileged/],
    [{ hostConfig: { Binds: ['/:/host'] } }, /hostConfig/],
    [{ runtime: 'runsc' }, /runtime/],
  ])('like %j is refused with the name of the field', async (config, field) => {
    await refused('POST', '/v1/functions/good/versions', { image, config }, field);
    await refused('POST', '/v1/functions/never-made/versions', { image, config }, field);
    await refused('PATCH', '/v1/functions/good', { config }, field);
  });
});

describe('a version', () => {
  it.each([
    [{}, /image/],
    [{ image: 7 }, /image/],
    [{ image: '' }, /image/],
    [{ image: '-rm' }, /image/],
    [{ image: '../../etc' }, /image/],
    [{ image: 'a b' }, /image/],
    [{ image: 'hello', binds: ['/:/host'] }, /binds/],
    [[], /object|image/],
    [null, /object|image|body/],
  ])('like %j is refused', async (body, field) => {
    await refused('POST', '/v1/functions/good/versions', body, field);
  });
});

describe('traffic', () => {
  it.each([
    [[{ version: 1, weight: 99 }], /100/],
    [[], /traffic|1/],
    [[{ version: 1, weight: 100.5 }], /weight/],
    [[{ version: 'x', weight: 100 }], /version/],
    [
      [
        { version: 1, weight: 150 },
        { version: 1, weight: -50 },
      ],
      /weight/,
    ],
    [{ version: 1, weight: 100 }, /array|list|traffic/i],
  ])('like %j is refused and changes nothing', async (body, field) => {
    const before = (await cluster.api('GET', '/v1/functions/good/traffic')).text;
    await refused('PUT', '/v1/functions/good/traffic', body, field);
    expect((await cluster.api('GET', '/v1/functions/good/traffic')).text).toBe(before);
  });

  it('to a version that does not exist is 404, and changes nothing', async () => {
    const answer = await cluster.api('PUT', '/v1/functions/good/traffic', [{ version: 7, weight: 100 }]);
    expect([answer.status, answer.json<Problem>().code]).toEqual([404, 'version_not_found']);
    expect((await cluster.call('/fn/good/')).status).toBe(200);
  });
});

describe('JSON', () => {
  const send = (body: string, contentType = 'application/json') =>
    call(cluster.router.ports.control, '/v1/functions/good/versions', {
      method: 'POST',
      headers: { authorization: `Bearer ${cluster.shared.adminKey}`, 'content-type': contentType },
      body,
    });

  it.each([
    ['broken off', '{"image": "a'],
    ['empty', ''],
    ['with __proto__', '{"image":"hello","__proto__":{"admin":true}}'],
    ['with constructor.prototype', '{"image":"hello","constructor":{"prototype":{"admin":true}}}'],
    ['nested ten thousand deep', `${'['.repeat(10_000)}${']'.repeat(10_000)}`],
    ['not JSON', 'image=hello'],
  ])('%s is refused', async (_what, body) => {
    const answer = await send(body);
    expect([answer.status, answer.json<Problem>().code], answer.text).toEqual([400, 'bad_request']);
  });

  it('of 20 MB is refused with 413', async () => {
    const answer = await send(JSON.stringify({ image: 'x'.repeat(20_000_000) }));
    expect([answer.status, answer.json<Problem>().code]).toEqual([413, 'payload_too_large']);
  });

  it('of another kind is refused with 400', async () => {
    expect((await send('<image>hello</image>', 'text/xml')).status).toBe(400);
  });
});

describe('the control API', () => {
  it('answers an unknown path with 404 and a known one under another method with 405', async () => {
    const unknown = await cluster.api('GET', '/v1/nothing-here');
    const method = await cluster.api('PUT', '/v1/functions/good');
    expect([unknown.status, unknown.json<Problem>().code]).toEqual([404, 'not_found']);
    expect([method.status, method.json<Problem>().code]).toEqual([405, 'method_not_allowed']);
  });

  it('answers 404 for a function that is not there, on every route of one', async () => {
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['PATCH', '', { config: { timeout: 1000 } }],
      ['DELETE', '', undefined],
      ['GET', '/versions', undefined],
      ['GET', '/traffic', undefined],
      ['PUT', '/traffic', [{ version: 1, weight: 100 }]],
      ['POST', '/rollback', {}],
      ['GET', '/instances', undefined],
      ['GET', '/logs', undefined],
    ] as const) {
      const answer = await cluster.api(method, `/v1/functions/nobody${path}`, body);
      expect([method, path, answer.status, answer.json<Problem>().code]).toEqual([method, path, 404, 'function_not_found']);
    }
  });
});
