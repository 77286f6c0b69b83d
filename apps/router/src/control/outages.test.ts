import { startTestRedis } from '@kiln/testing/redis';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startRouter } from '../router.js';
import { ADMIN_KEY, configFor, problemOf, TestCluster } from './cluster.fixture.js';

let cluster: TestCluster;
let stopped = false;

beforeEach(async () => {
  stopped = false;
  cluster = await TestCluster.start();
  expect((await cluster.api('POST', '/v1/functions/known/versions', { image: 'x' })).status).toBe(201);
});
afterEach(async () => {
  if (!stopped) await cluster.stop();
});

const ready = async (url: string) => (await fetch(`${url}/readyz`)).text();
const one = [{ version: 1, weight: 100 }];

describe('while Redis is away', () => {
  it('known functions are still called, writes get 503 soon, reads go on, and all heals by itself', async () => {
    const before = (await cluster.api('GET', '/v1/functions')).text;
    await cluster.redis.kill();
    await expect.poll(() => ready(cluster.router.controlUrl)).toBe('degraded\n');
    for (const [method, path, body] of [
      ['PUT', '/v1/functions/known/traffic', one],
      ['POST', '/v1/functions/known/rollback', {}],
      ['POST', '/v1/functions/new/versions', { image: 'x' }],
      ['PATCH', '/v1/functions/known', { config: { timeout: 9 } }],
      ['DELETE', '/v1/functions/known', undefined],
      ['POST', '/v1/keys', { name: 'x', scopes: ['read'] }],
      ['DELETE', '/v1/keys/abc', undefined],
      ['GET', '/v1/functions/known/logs', undefined],
    ] as const) {
      const answer = await cluster.api(method, path, body);
      expect([method, path, ...problemOf(answer)]).toEqual([method, path, 503, 'unavailable']);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      expect(answer.ms).toBeLessThan(1500);
    }
    expect((await cluster.api('GET', '/v1/functions')).text).toBe(before);
    expect((await cluster.api('GET', '/v1/nodes')).text).toContain('"live":true');
    expect((await fetch(`${cluster.router.dataUrl}/fn/known/`)).headers.get('x-kiln-version')).toBe('1');
    expect((await fetch(`${cluster.router.dataUrl}/readyz`)).status).toBe(200);
    await cluster.redis.restart();
    await expect.poll(() => ready(cluster.router.controlUrl), { timeout: 5000 }).toBe('ready\n');
    expect((await cluster.api('PUT', '/v1/functions/known/traffic', one)).status).toBe(200);
  });

  it('a server that is there but does not answer holds nobody longer than a little', async () => {
    cluster.redis.freeze();
    const answer = await cluster.api('PUT', '/v1/functions/known/traffic', one);
    expect([...problemOf(answer), answer.ms < 4000]).toEqual([503, 'unavailable', true]);
    expect((await cluster.api('GET', '/v1/functions/known')).status).toBe(200);
    cluster.redis.thaw();
    await expect.poll(async () => (await cluster.api('PUT', '/v1/functions/known/traffic', one)).status).toBe(200);
  });

  it('a router starts nevertheless, says that it knows nothing yet, and is ready when Redis comes', async () => {
    const redis = await startTestRedis();
    await redis.kill();
    const router = await startRouter(configFor(redis.url), pino({ level: 'silent' }));
    try {
      expect(await ready(router.controlUrl)).toBe('starting\n');
      expect((await fetch(`${router.dataUrl}/readyz`)).status).toBe(503);
      const call = await fetch(`${router.dataUrl}/fn/known/`);
      expect([call.status, call.headers.get('x-kiln-error')]).toEqual([503, 'unavailable']);
      const nodes = await fetch(`${router.controlUrl}/v1/nodes`, { headers: { authorization: `Bearer ${ADMIN_KEY}` } });
      expect(nodes.status).toBe(200);
      await redis.restart();
      await expect.poll(() => ready(router.controlUrl), { timeout: 8000 }).toBe('ready\n');
    } finally {
      await router.stop();
      await redis.stop();
    }
  });
});

describe('two routers', () => {
  it('know of each other’s writes long before they look again by themselves, also after an outage', async () => {
    const other = await startRouter(configFor(cluster.redis.url), pino({ level: 'silent' }));
    try {
      const known = async (name: string) =>
        (await fetch(`${other.dataUrl}/fn/${name}/`)).headers.get('x-kiln-error') !== 'function_not_found';
      const delays: number[] = [];
      for (const name of ['a', 'b', 'c', 'd']) {
        if (name === 'c') {
          await cluster.redis.kill();
          await cluster.redis.restart();
          await expect.poll(() => ready(other.controlUrl), { timeout: 5000 }).toBe('ready\n');
          await expect.poll(async () => (await cluster.api('PUT', '/v1/functions/a/traffic', one)).status, { timeout: 5000 }).toBe(200);
          // The transport's own connections come back within their retry delay.
          await expect.poll(async () => subscribers(cluster), { timeout: 5000 }).toBe(2);
        }
        expect((await cluster.api('POST', `/v1/functions/${name}/versions`, { image: 'x' })).status).toBe(201);
        const since = performance.now();
        await expect.poll(() => known(name), { interval: 10, timeout: 5000 }).toBe(true);
        delays.push(performance.now() - since);
      }
      expect(Math.max(...delays)).toBeLessThan(500);
    } finally {
      await other.stop();
    }
  });
});

describe('a node that dies', () => {
  it('is out of use in about three seconds', async () => {
    cluster.beating = false;
    const since = performance.now();
    await expect.poll(async () => (await cluster.api('GET', '/v1/nodes')).text, { timeout: 8000 }).toContain('"live":false');
    expect(performance.now() - since).toBeLessThan(3500);
    expect(problemOf(await cluster.api('POST', '/v1/functions/x/versions', { image: 'x' }))).toEqual([503, 'no_capacity']);
  });
});

describe('a router that stops', () => {
  it('does so in time though a caller follows logs', async () => {
    const followed = await fetch(`${cluster.router.controlUrl}/v1/functions/known/logs?follow`, {
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
    });
    const reading = followed.text().catch(() => '');
    const since = performance.now();
    await cluster.stop();
    stopped = true;
    expect(performance.now() - since).toBeLessThan(5000);
    await reading;
    await expect(fetch(cluster.router.controlUrl)).rejects.toThrow();
    await expect(fetch(cluster.router.dataUrl)).rejects.toThrow();
  });
});

async function subscribers({ store }: TestCluster): Promise<number> {
  const counts = (await store.run((redis) => redis.pubsub('NUMSUB', 'kiln.function.changed')).catch(() => [])) as [string?, number?];
  return Number(counts[1] ?? 0);
}
