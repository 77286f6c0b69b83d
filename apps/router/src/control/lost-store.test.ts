import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Router, startRouter } from '../router.js';
import { ADMIN_KEY, configFor, problemOf, TestCluster } from './cluster.fixture.js';

let cluster: TestCluster;
let raw: Redis;
let invoker: string;

beforeEach(async () => {
  cluster = await TestCluster.start();
  raw = new Redis(cluster.redis.url);
  expect((await cluster.api('POST', '/v1/functions/known/versions', { image: 'x', config: { auth: 'key' } })).status).toBe(201);
  expect((await cluster.api('POST', '/v1/functions/known/versions', { image: 'y' })).status).toBe(201);
  expect((await cluster.api('PUT', '/v1/secrets/TOKEN', { value: 'v' })).status).toBe(200);
  const made = await cluster.api('POST', '/v1/keys', { name: 'caller', scopes: ['invoke', 'read'] });
  invoker = made.json<{ apiKey: string }>().apiKey;
  await expect.poll(holds).toMatchObject({ functions: 1, versions: 2, keys: 1, secrets: 1, secretValues: true });
});
afterEach(async () => {
  raw.disconnect();
  await cluster.stop();
});

interface View {
  state: string;
  detail?: string;
  fix?: string;
  holds: object | null;
}
const view = async (): Promise<View> => (await cluster.api('GET', '/v1/store')).json<View>();
const holds = async () => (await view()).holds;
const lose = async () => {
  await raw.flushall();
  await expect.poll(async () => (await view()).state, { timeout: 5000 }).toBe('lost');
};
const ready = async (router: Router) => (await fetch(`${router.controlUrl}/readyz`)).text();
const called = async (router: Router) =>
  (await fetch(`${router.dataUrl}/fn/known/`, { headers: { authorization: `Bearer ${invoker}` } })).headers.get('x-kiln-version');

/** All that must not be lost, but for what says of itself when it was written. */
async function stored(): Promise<Record<string, unknown>> {
  const keys = ['functions', 'version-numbers', 'versions:known', 'keys', 'secrets', 'secret-values', 'secret-numbers'];
  const hashes = await Promise.all(keys.map((key) => raw.hgetall(`kiln:${key}`)));
  return {
    ...Object.fromEntries(keys.map((key, i) => [key, hashes[i]])),
    masterKey: await raw.get('kiln:master-key'),
    mark: await raw.get('kiln:mark'),
  };
}

describe('a store that was emptied', () => {
  it('takes no function, version or key out of use, and every place says what is the matter', async () => {
    await lose();
    expect((await cluster.api('GET', '/v1/functions/known/versions', undefined, invoker)).json<{ items: object[] }>().items).toHaveLength(
      2,
    );
    expect(await called(cluster.router)).toBe('2');
    expect(await ready(cluster.router)).toMatch(/^degraded\nthe store was emptied/);
    expect(await view()).toMatchObject({
      detail: expect.stringContaining('emptied'),
      fix: expect.stringContaining('kiln doctor --restore-store'),
    });
    expect((await cluster.api('GET', '/metrics')).text.match(/^kiln_store_\w+ \d/gm)).toEqual([
      'kiln_store_up 1',
      'kiln_store_writable 1',
      'kiln_store_whole 0',
    ]);
  });

  it('takes no control write, and says why and what to do', async () => {
    await lose();
    for (const [method, path, body] of [
      ['PUT', '/v1/functions/known/traffic', [{ version: 1, weight: 100 }]],
      ['POST', '/v1/functions/known/rollback', {}],
      ['POST', '/v1/functions/new/versions', { image: 'x' }],
      ['DELETE', '/v1/functions/known', undefined],
      ['POST', '/v1/keys', { name: 'x', scopes: ['read'] }],
      ['PUT', '/v1/secrets/TOKEN', { value: 'w' }],
      ['DELETE', '/v1/secrets/TOKEN', undefined],
    ] as const) {
      const answer = await cluster.api(method, path, body);
      expect([method, path, ...problemOf(answer)]).toEqual([method, path, 503, 'unavailable']);
      expect(answer.text).toMatch(/was emptied.*--restore-store/);
    }
  });

  it('is as it was when what the router holds is written back', async () => {
    const before = await stored();
    await lose();
    const answer = await cluster.api('POST', '/v1/store/restore');
    expect([answer.status, answer.json<View>().state]).toEqual([200, 'well']);
    expect(await stored()).toEqual(before);
    expect((await cluster.api('PUT', '/v1/functions/known/traffic', [{ version: 1, weight: 100 }])).status).toBe(200);
    expect(await ready(cluster.router)).toBe('ready\n');
    expect(problemOf(await cluster.api('POST', '/v1/store/restore'))).toEqual([409, 'conflict']);
  });

  it('is empty where an administrator orders that, and only an administrator may', async () => {
    await lose();
    for (const path of ['/v1/store/restore', '/v1/store/accept']) {
      expect(problemOf(await cluster.api('POST', path, undefined, invoker))).toEqual([403, 'forbidden']);
    }
    expect((await cluster.api('POST', '/v1/store/accept')).status).toBe(200);
    await expect.poll(async () => (await cluster.api('GET', '/v1/functions')).json<{ items: object[] }>().items).toEqual([]);
    expect((await cluster.api('POST', '/v1/functions/new/versions', { image: 'x' })).status).toBe(201);
  });

  it('is no fresh one for a router that starts then: it takes no calls, and another one can still write all back', async () => {
    await lose();
    const late = await startRouter(configFor(cluster.redis.url), pino({ level: 'silent' }));
    try {
      expect(await ready(late)).toMatch(/^starting\n/);
      expect((await fetch(`${late.dataUrl}/fn/known/`)).headers.get('x-kiln-error')).toBe('unavailable');
      const restored = await fetch(`${late.controlUrl}/v1/store/restore`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ADMIN_KEY}` },
      });
      expect([restored.status, await restored.text()]).toEqual([409, expect.stringContaining('holds nothing')]);
      expect((await cluster.api('POST', '/v1/store/restore')).status).toBe(200);
      await expect.poll(() => ready(late), { timeout: 5000 }).toBe('ready\n');
      expect(await called(late)).toBe('2');
    } finally {
      await late.stop();
    }
  });
});

describe('a store that reads but refuses writes', () => {
  it('keeps calls going; every place says so with the reason, and all heals by itself', async () => {
    // The stand-in node's heartbeats are refused, too.
    await raw.config('SET', 'min-replicas-to-write', '1');
    await expect.poll(async () => (await view()).state, { timeout: 5000 }).toBe('refuses-writes');
    const answer = await cluster.api('PUT', '/v1/functions/known/traffic', [{ version: 1, weight: 100 }]);
    expect([...problemOf(answer), answer.text]).toEqual([
      503,
      'unavailable',
      expect.stringMatching(/refuses writes: too few of its replicas/),
    ]);
    expect(await ready(cluster.router)).toMatch(/^degraded\nthe store refuses writes/);
    expect(await called(cluster.router)).toBe('2');
    await raw.config('SET', 'min-replicas-to-write', '0');
    await expect.poll(() => ready(cluster.router), { timeout: 15_000 }).toBe('ready\n');
    expect((await cluster.api('PUT', '/v1/functions/known/traffic', [{ version: 1, weight: 100 }])).status).toBe(200);
  }, 30_000);
});
