import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, type ProblemAnswer, problemOf, TestCluster } from '../cluster.fixture.js';
import { ROUTES } from './routes.js';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
  expect((await cluster.api('POST', '/v1/functions/good/versions', { image: 'good:1' })).status).toBe(201);
});
afterAll(() => cluster?.stop());

/** 400 that names the field, and nothing came into being. */
async function refused(method: string, path: string, body: unknown, field: RegExp): Promise<void> {
  const before = (await cluster.api('GET', '/v1/functions')).text;
  const answer = await cluster.api(method, path, body);
  const problem = answer.json<ProblemAnswer>();
  expect([answer.status, problem.code], answer.text).toEqual([400, 'bad_request']);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(`${problem.detail} ${problem.fields?.map((entry) => entry.field).join(' ')}`).toMatch(field);
  expect((await cluster.api('GET', '/v1/functions')).text).toBe(before);
}

describe('a name', () => {
  it.each([
    'A',
    '1a',
    'a_b',
    'a.b',
    '-a',
    'a-',
    'x'.repeat(64),
    'x'.repeat(3000),
    '__proto__',
    '%2e%2e',
    'a%2fb',
    'a%00b',
    'a%0ab',
    '*',
    '%C3%A9',
  ])('like %s is refused on every way in', async (name) => {
    const body: Record<string, unknown> = {
      PATCH: { config: {} },
      POST: { image: 'x' },
      PUT: [{ version: 1, weight: 100 }],
    };
    for (const { method, path } of ROUTES.filter((route) => route.path.includes('/functions/:name') && !route.path.includes('/builds'))) {
      await refused(method, path.replace(':name', name), path.endsWith('rollback') ? {} : body[method], /name/);
    }
    const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/gzip' };
    const build = await cluster.send('POST', `/v1/functions/${name}/builds`, { headers, body: gzipSync('x') });
    expect(problemOf(build)).toEqual([400, 'bad_request']);
  });
});

describe('a configuration', () => {
  it.each([
    [{ timeout: 0 }, /config\.timeout/],
    [{ timeout: '5000' }, /config\.timeout/],
    [{ memory: -1 }, /config\.memory/],
    [{ cpu: 0 }, /config\.cpu/],
    [{ concurrency: 0 }, /config\.concurrency/],
    [{ env: { 'A=B': 'x' } }, /config\.env/],
    [{ env: { KILN_SOCKET: '/x' } }, /KILN_SOCKET/],
    [{ minInstances: 3, maxInstances: 2 }, /minInstances/],
    [{ timeOut: 5000 }, /timeOut.*timeout/],
    [{ privileged: true }, /privileged/],
    [{ secrets: ['TOKEN'] }, /secrets\[0\].*no such secret is stored/],
    [[], /config/],
    ['x', /config/],
    [null, /config/],
  ])('like %j is refused with the name of the field', async (config, field) => {
    await refused('POST', '/v1/functions/good/versions', { image: 'good:1', config }, field);
    await refused('POST', '/v1/functions/never-made/versions', { image: 'good:1', config }, field);
    await refused('PATCH', '/v1/functions/good', { config }, field);
    expect((await cluster.functions.versions('good')).length).toBe(1);
  });
});

describe('a body', () => {
  const send = (body: string, contentType = 'application/json') =>
    cluster.send('POST', '/v1/functions/good/versions', {
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': contentType },
      body,
    });

  it.each([
    ['broken off', '{"image": "a'],
    ['empty', ''],
    ['with __proto__', '{"image":"hello","__proto__":{"admin":true}}'],
    ['with __proto__ deep inside', '{"image":"hello","config":{"env":{"__proto__":"x"}}}'],
    ['with constructor.prototype', '{"image":"hello","constructor":{"prototype":{"admin":true}}}'],
    ['nested ten thousand deep', `${'['.repeat(10_000)}${']'.repeat(10_000)}`],
    ['not JSON', 'image=hello'],
    ['with a field too many', '{"image":"hello","binds":["/:/host"]}'],
    ['with a bad image', '{"image":"../../etc"}'],
  ])('%s is refused', async (_what, body) => {
    const answer = await send(body);
    expect(problemOf(answer), answer.text).toEqual([400, 'bad_request']);
  });

  it('of 20 MB is refused with 413', async () => {
    expect(problemOf(await send(JSON.stringify({ image: 'x'.repeat(20_000_000) })))).toEqual([413, 'payload_too_large']);
  });

  it('of another kind is refused with 400', async () => {
    expect(problemOf(await send('<image>hello</image>', 'text/xml'))).toEqual([400, 'bad_request']);
  });
});

describe('traffic', () => {
  it.each([
    [[{ version: 1, weight: 99 }], /100/],
    [[], /traffic/],
    [[{ version: 1, weight: 100.5 }], /traffic\[0\]\.weight/],
    [[{ version: 'x', weight: 100 }], /traffic\[0\]\.version/],
    [[{ version: 1, weight: 100, x: 1 }], /x/],
    [{ version: 1, weight: 100 }, /traffic/],
    [undefined, /traffic/],
  ])('like %j is refused and changes nothing', async (body, field) => {
    await refused('PUT', '/v1/functions/good/traffic', body, field);
    expect((await cluster.api('GET', '/v1/functions/good/traffic')).json()).toEqual([{ version: 1, weight: 100 }]);
  });

  it('to a version that is not there is 404', async () => {
    expect(problemOf(await cluster.api('PUT', '/v1/functions/good/traffic', [{ version: 7, weight: 100 }]))).toEqual([
      404,
      'version_not_found',
    ]);
  });

  it('under a stale revision is a conflict', async () => {
    const put = (ifMatch: string) =>
      cluster.send('PUT', '/v1/functions/good/traffic', {
        headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json', 'if-match': ifMatch },
        body: '[{"version":1,"weight":100}]',
      });
    const { etag } = (await cluster.api('GET', '/v1/functions/good/traffic')).headers;
    expect(problemOf(await put('"999"'))).toEqual([409, 'conflict']);
    expect(problemOf(await put('latest'))).toEqual([400, 'bad_request']);
    expect((await put(String(etag))).status).toBe(200);
  });
});

describe('what is not there', () => {
  it('is 404, and a known path under another method 405 with the right ones', async () => {
    expect(problemOf(await cluster.api('GET', '/v1/nothing-here'))).toEqual([404, 'not_found']);
    const method = await cluster.api('PUT', '/v1/functions/good');
    expect(problemOf(method)).toEqual([405, 'method_not_allowed']);
    expect(method.headers.allow).toBe('GET, PATCH, DELETE');
    expect(problemOf(await cluster.api('GET', '/v1/functions/%zz'))).toEqual([400, 'bad_request']);
    expect(problemOf(await cluster.api('POST', '/v1/nodes/nobody/drain'))).toEqual([404, 'not_found']);
    expect(problemOf(await cluster.api('DELETE', '/v1/keys/nobody'))).toEqual([404, 'not_found']);
  });

  it('is function_not_found on every route of a function', async () => {
    const bodies: Record<string, unknown> = { PATCH: { config: { timeout: 1000 } }, PUT: [{ version: 1, weight: 100 }], POST: {} };
    for (const { method, path } of ROUTES.filter(
      (route) => /functions\/:name/.test(route.path) && !/POST .*(versions|builds)$/.test(`${route.method} ${route.path}`),
    )) {
      const answer = await cluster.api(method, path.replace(':name', 'nobody'), bodies[method]);
      expect([method, path, ...problemOf(answer)]).toEqual([method, path, 404, 'function_not_found']);
    }
  });
});

describe('a key', () => {
  it.each([
    [{ name: '', scopes: ['read'] }, /name/],
    [{ name: 'two\nlines', scopes: ['read'] }, /name/],
    [{ name: 'red \u001b[31m', scopes: ['read'] }, /name/],
    [{ name: 'turned \u202e round', scopes: ['read'] }, /name/],
    [{ name: 'x', scopes: [] }, /scopes/],
    [{ name: 'x', scopes: ['root'] }, /scopes\[0\]/],
  ])('like %j is refused', async (body, field) => {
    await refused('POST', '/v1/keys', body, field);
  });
});

describe('a query', () => {
  it.each([
    ['/v1/functions?limit=0', /limit/],
    ['/v1/functions?nonsense=1', /nonsense/],
    ['/v1/functions/good/logs?level=loud', /level/],
    ['/v1/functions/good/logs?since=yesterday', /since/],
  ])('like %s is refused', async (path, field) => {
    await refused('GET', path, undefined, field);
  });
});

describe('a body', () => {
  it('with half of a character is refused wherever it stands', async () => {
    await refused('PATCH', '/v1/functions/good', { config: { entry: '\ud800.js' } }, /half of a character/);
    await refused('PATCH', '/v1/functions/good', { config: { env: { A: 'x\udc00' } } }, /half of a character/);
    await refused('PATCH', '/v1/functions/good', { config: { env: { '\ud83d': 'x' } } }, /half of a character/);
  });

  it('with a megabyte of keys that nobody knows gets a short answer, soon', async () => {
    const config = Object.fromEntries(Array.from({ length: 45_000 }, (_, i) => [`nonsense-${i}`, 1]));
    const answer = await cluster.api('PATCH', '/v1/functions/good', { config });
    expect(problemOf(answer)).toEqual([400, 'bad_request']);
    expect(answer.text.length).toBeLessThan(20_000);
    const long = await cluster.api('PATCH', '/v1/functions/good', { config: { ['x'.repeat(900_000)]: 1 } });
    expect(problemOf(long)).toEqual([400, 'bad_request']);
    expect(long.text.length).toBeLessThan(20_000);
  });
});

describe('pins', () => {
  it('of one function have a limit', async () => {
    let last = 0;
    for (let version = 1; version <= 51; version++) {
      if (version > 1) {
        const made = await cluster.api('POST', '/v1/functions/good/versions', {
          image: `good:${version}`,
          config: { env: { N: String(version) } },
        });
        expect(made.status, made.text).toBe(201);
      }
      last = (await cluster.api('PUT', `/v1/functions/good/versions/${version}/pin`)).status;
    }
    expect(last).toBe(409);
    expect((await cluster.api('DELETE', '/v1/functions/good/versions/1/pin')).status).toBe(200);
    expect((await cluster.api('PUT', '/v1/functions/good/versions/51/pin')).status).toBe(200);
  });
});

it('wrong keys are not tried without limit', async () => {
  const statuses: number[] = [];
  for (let i = 0; i < 300; i++)
    statuses.push((await cluster.api('GET', '/v1/nodes', undefined, `kiln_${'z'.repeat(12)}_${'0'.repeat(40)}`)).status);
  expect([statuses[0], statuses[299]]).toEqual([401, 429]);
  expect((await cluster.api('GET', '/v1/nodes')).status).toBe(200);
});
