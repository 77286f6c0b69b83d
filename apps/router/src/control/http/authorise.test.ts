import type { CreatedKey } from '@kiln/contract/api/control-api';
import type { Scope } from '@kiln/contract/records/records';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, problemOf, TestCluster } from '../cluster.fixture.js';
import { ROUTES } from './routes.js';

let cluster: TestCluster;
const keys = {} as Record<Scope, CreatedKey>;

beforeAll(async () => {
  cluster = await TestCluster.start();
  for (const scope of ['admin', 'deploy', 'read', 'invoke'] as const) {
    const answer = await cluster.api('POST', '/v1/keys', { name: `${scope} key`, scopes: [scope] });
    expect(answer.status, answer.text).toBe(201);
    keys[scope] = answer.json<CreatedKey>();
  }
});
afterAll(() => cluster?.stop());

/** Which scopes open a route, besides `admin`. */
const OPENS: Record<string, Scope[]> = { read: ['read', 'deploy'], deploy: ['deploy'], admin: [] };

describe.each(ROUTES.filter(({ scope }) => scope !== undefined))('$method $path', ({ method, path, scope }) => {
  const target = path.replace(':name', 'nobody').replace(':id', 'nobody');

  it('is 401 without a key and with every wrong one, whatever its body', async () => {
    const near = `${ADMIN_KEY.slice(0, -1)}c`;
    for (const key of [null, '', 'x', `${ADMIN_KEY}x`, near, `kiln_${'z'.repeat(12)}_${'b'.repeat(40)}`, 'x'.repeat(8000)]) {
      const answer = await cluster.api(method, target, undefined, key);
      expect(problemOf(answer), String(key).slice(0, 40)).toEqual([401, 'unauthorized']);
      expect(answer.headers['x-kiln-error']).toBe('unauthorized');
    }
    if (method === 'GET' || method === 'DELETE') return;
    const broken = await cluster.send(method, target, { headers: { 'content-type': 'application/json' }, body: '{"' });
    expect(broken.status).toBe(401);
  });

  it('is 403 with a key of another scope, and open with its own', async () => {
    for (const each of ['deploy', 'read', 'invoke', 'admin'] as const) {
      const { status } = await cluster.api(method, target, undefined, keys[each].apiKey);
      const open = each === 'admin' || OPENS[scope as string]?.includes(each);
      if (open) expect([401, 403, 405], each).not.toContain(status);
      else expect([each, status]).toEqual([each, 403]);
    }
  });
});

describe('health', () => {
  it.each(['/healthz', '/readyz'])('%s is open to everybody', async (path) => {
    expect((await cluster.api('GET', path, undefined, null)).status).toBe(200);
  });

  it('says on both doors that the router is ready', async () => {
    expect((await cluster.api('GET', '/readyz', undefined, null)).text).toBe('ready\n');
    expect((await fetch(`${cluster.router.dataUrl}/readyz`)).status).toBe(200);
  });
});

describe('keys', () => {
  it('are shown once, and open nothing when they are removed', async () => {
    const made = (await cluster.api('POST', '/v1/keys', { name: 'short', scopes: ['read', 'read'] })).json<CreatedKey>();
    expect(made.scopes).toEqual(['read']);
    const listed = await cluster.api('GET', '/v1/keys');
    expect(listed.text).not.toMatch(new RegExp(`${made.apiKey}|hash`));
    expect((await cluster.api('GET', '/v1/nodes', undefined, made.apiKey)).status).toBe(200);
    expect((await cluster.api('DELETE', `/v1/keys/${made.id}`)).status).toBe(204);
    expect((await cluster.api('GET', '/v1/nodes', undefined, made.apiKey)).status).toBe(401);
  });

  it('of the admin, which the router was started with, can not be removed', async () => {
    expect(problemOf(await cluster.api('DELETE', `/v1/keys/${'A'.repeat(12)}`))).toEqual([409, 'conflict']);
  });
});
