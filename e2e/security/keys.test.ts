import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CreatedKey, KeyView } from '@kiln/contract/api/control-api';
import type { Scope } from '@kiln/contract/records/records';
import { call } from '@kiln/testing/call';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, example } from '../support/inside.js';

let cluster: Cluster;
const keys = {} as Record<Scope, CreatedKey>;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1, routers: 2 });
  const { image } = await cluster.deploy(example('hello'), { name: 'open' });
  await cluster.addVersion('closed', image, { auth: 'key' });
  for (const scope of ['admin', 'deploy', 'read', 'invoke'] as const) {
    const answer = await cluster.api('POST', '/v1/keys', { name: `${scope} key`, scopes: [scope] });
    expect(answer.status, answer.text).toBe(201);
    keys[scope] = answer.json<CreatedKey>();
  }
  for (const router of cluster.routers) {
    await until(
      'every router knows the keys',
      async () => (await cluster.api('GET', '/v1/functions', undefined, { router, key: keys.read.apiKey })).status === 200,
    );
  }
});
afterAll(() => cluster?.stop());

/** Every control route with the scopes that open it (`admin` opens all). */
const ROUTES: [method: string, path: string, body: unknown, scopes: Scope[]][] = [
  ['GET', '/v1/functions', undefined, ['read', 'deploy']],
  ['GET', '/v1/functions/open', undefined, ['read', 'deploy']],
  ['PATCH', '/v1/functions/open', { config: { nonsense: 1 } }, ['deploy']],
  ['DELETE', '/v1/functions/nobody', undefined, ['deploy']],
  ['POST', '/v1/functions/open/versions', {}, ['deploy']],
  ['GET', '/v1/functions/open/versions', undefined, ['read', 'deploy']],
  ['POST', '/v1/functions/open/builds', undefined, ['deploy']],
  ['GET', '/v1/functions/open/traffic', undefined, ['read', 'deploy']],
  ['PUT', '/v1/functions/open/traffic', [], ['deploy']],
  ['POST', '/v1/functions/open/rollback', { version: 99 }, ['deploy']],
  ['GET', '/v1/functions/open/logs', undefined, ['read', 'deploy']],
  ['GET', '/v1/functions/open/instances', undefined, ['read', 'deploy']],
  ['GET', '/v1/secrets', undefined, ['read', 'deploy']],
  ['PUT', '/v1/secrets/TOKEN', {}, ['deploy']],
  ['PATCH', '/v1/secrets', {}, ['deploy']],
  ['DELETE', '/v1/secrets/NOBODY', undefined, ['deploy']],
  ['POST', '/v1/secrets/rotate', undefined, []],
  ['GET', '/v1/nodes', undefined, ['read', 'deploy']],
  ['POST', '/v1/nodes/nobody/drain', undefined, []],
  ['DELETE', '/v1/nodes/nobody/drain', undefined, []],
  ['GET', '/v1/ring', undefined, ['read', 'deploy']],
  ['GET', '/v1/openapi.json', undefined, ['read', 'deploy']],
  ['GET', '/metrics', undefined, ['read', 'deploy']],
  ['GET', '/v1/keys', undefined, []],
  ['POST', '/v1/keys', {}, []],
  ['DELETE', '/v1/keys/nobody', undefined, []],
];

describe.each(ROUTES)('%s %s', (method, path, body, scopes) => {
  it('is 401 without a key and with every wrong one', async () => {
    const wrong = [
      null,
      '',
      'x',
      `${keys.admin.apiKey}x`,
      keys.admin.apiKey.slice(0, -1),
      `kiln_${'a'.repeat(12)}_${'b'.repeat(40)}`,
      'x'.repeat(8000),
    ];
    for (const key of wrong) {
      const answer = await cluster.api(method, path, body, { key });
      expect([answer.status, answer.json<{ code: string }>().code], String(key).slice(0, 40)).toEqual([401, 'unauthorized']);
    }
  });

  it('is 403 with a key of another scope, and open with its own', async () => {
    for (const scope of ['deploy', 'read', 'invoke'] as const) {
      const { status } = await cluster.api(method, path, body, { key: keys[scope].apiKey });
      if (scopes.includes(scope)) expect([401, 403], scope).not.toContain(status);
      else expect([scope, status]).toEqual([scope, 403]);
    }
    const admin = await cluster.api(method, path, body, { key: keys.admin.apiKey });
    expect([401, 403]).not.toContain(admin.status);
  });
});

describe('a key', () => {
  it('is shown once, and is in no list and no file of the store', async () => {
    const listed = await cluster.api('GET', '/v1/keys');
    expect(listed.json<{ items: KeyView[] }>().items.map(({ name }) => name)).toContain('deploy key');
    expect(listed.text).not.toContain(keys.deploy.apiKey);
    expect(listed.text).not.toMatch(/hash/);
    for (const file of [
      'appendonlydir/appendonly.aof.1.incr.aof',
      'appendonlydir/appendonly.aof.1.base.aof',
      'appendonlydir/appendonly.aof.1.base.rdb',
    ]) {
      const content = readIfThere(join(cluster.shared.home, file));
      expect(content).not.toContain(keys.deploy.apiKey);
      expect(content).not.toContain(keys.deploy.apiKey.split('_')[2]);
    }
  });

  it('that is removed opens nothing any more, on every router', async () => {
    const made = (await cluster.api('POST', '/v1/keys', { name: 'short-lived', scopes: ['read'] })).json<CreatedKey>();
    const opens = async (i: number) =>
      (await cluster.api('GET', '/v1/nodes', undefined, { router: cluster.routers[i], key: made.apiKey })).status;
    await until('both know it', async () => (await opens(0)) === 200 && (await opens(1)) === 200);
    expect((await cluster.api('DELETE', `/v1/keys/${made.id}`)).status).toBeLessThan(300);
    expect(await opens(0)).toBe(401);
    await until('both have forgotten it', async () => (await opens(1)) === 401, 5_000);
  });

  it('in the address is not taken', async () => {
    expect(
      (await cluster.api('GET', `/v1/functions?key=${keys.admin.apiKey}&authorization=${keys.admin.apiKey}`, undefined, { key: null }))
        .status,
    ).toBe(401);
  });
});

describe('a function with auth: key', () => {
  it('takes callers whose key has the scope invoke, and no others', async () => {
    const status = async (key?: string) => {
      const answer = await cluster.call('/fn/closed/', key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } });
      return [answer.status, errorOf(answer)];
    };
    expect(await status()).toEqual([401, 'unauthorized']);
    expect(await status('wrong')).toEqual([401, 'unauthorized']);
    expect(await status(keys.read.apiKey)).toEqual([403, 'forbidden']);
    expect(await status(keys.invoke.apiKey)).toEqual([200, undefined]);
    expect(await status(keys.admin.apiKey)).toEqual([200, undefined]);
  });

  it('leaves the open ones open', async () => {
    expect((await cluster.call('/fn/open/')).status).toBe(200);
  });
});

describe('an agent', () => {
  const secretRoutes: [string, string][] = [
    ['POST', '/builds?function=open'],
    ['GET', '/images/facts?image=hello'],
    ['GET', '/instances?function=open'],
    ['POST', '/drain'],
    ['DELETE', '/drain'],
    ['GET', '/metrics'],
  ];

  it.each(secretRoutes)('refuses %s %s on its control port without the cluster secret', async (method, path) => {
    for (const secret of [undefined, '', 'wrong', `${cluster.shared.secret}x`]) {
      const answer = await call(cluster.agents[0]?.ports.control as number, path, {
        method,
        headers: { ...(secret !== undefined && { 'x-kiln-secret': secret }) },
      });
      expect(answer.status, `${method} ${path} ${answer.text}`).toBe(401);
    }
  });

  it('refuses calls on its data port without the cluster secret', async () => {
    const port = cluster.agents[0]?.ports.data as number;
    for (const secret of [undefined, '', 'wrong']) {
      const headers = { 'x-kiln-function': 'open', 'x-kiln-version': '1', ...(secret !== undefined && { 'x-kiln-secret': secret }) };
      const answer = await call(port, '/', { headers });
      expect([answer.status, errorOf(answer)]).toEqual([401, 'unauthorized']);
    }
    const twice = await call(port, '/', {
      headers: [
        'Host',
        'x',
        'x-kiln-secret',
        'wrong',
        'x-kiln-secret',
        cluster.shared.secret,
        'x-kiln-function',
        'open',
        'x-kiln-version',
        '1',
      ],
    });
    expect([400, 401]).toContain(twice.status);
  });

  it('takes them with it', async () => {
    const headers = { 'x-kiln-function': 'open', 'x-kiln-version': '1', 'x-kiln-secret': cluster.shared.secret, 'x-request-id': 'r1' };
    expect((await call(cluster.agents[0]?.ports.data as number, '/', { headers })).status).toBe(200);
  });
});

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
