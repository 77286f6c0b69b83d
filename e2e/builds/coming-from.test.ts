import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, fixture, instanceOf, startOf, times } from '../support/inside.js';

// What people bring from the systems in docs/coming-from.md, unchanged.
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2 });
});
afterAll(() => cluster?.stop());

const newest = async (name: string) => (await cluster.versions(name)).at(-1)!;

describe('an Epsilon module', () => {
  it('serves the export that the function is named after, warm state, timeout and all', async () => {
    await cluster.deploy(fixture('from-epsilon'), { name: 'test' });
    expect((await newest('test')).config).toMatchObject({ handler: 'test', timeout: 10_000 });
    const first = await cluster.call('/fn/test/');
    const second = await cluster.call('/fn/test/', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'Ada' }),
    });
    expect([first.status, second.status], first.text + second.text).toEqual([200, 200]);
    expect(second.json()).toEqual({ calls: first.json<{ calls: number }>().calls + 1, method: 'POST', body: { name: 'Ada' } });
    expect([startOf(second), instanceOf(second)]).toEqual(['warm', instanceOf(first)]);
  });

  it('may call its handler `func`, as the write-up does', async () => {
    await cluster.deploy(fixture('from-epsilon'), { name: 'written' });
    expect((await newest('written')).config).toMatchObject({ handler: 'written', timeout: 9_000 });
    expect((await cluster.call('/fn/written/')).json()).toMatchObject({ method: 'GET' });
  });
});

describe('a local-lambda function', () => {
  it('takes a JSON body as its event, and event.json where there is none', async () => {
    await cluster.deploy(fixture('from-local-lambda'), { name: 'slow' });
    const body = JSON.stringify({ sleep: 0.2, a: ['b'] });
    const given = await cluster.call('/fn/slow/', { method: 'POST', body });
    expect([given.status, given.json()], given.text).toEqual([200, { slept: 0.2, event: { sleep: 0.2, a: ['b'] } }]);
    expect((await cluster.call('/fn/slow/', { method: 'POST', body: '' })).json()).toEqual({ slept: 0.01, event: { sleep: 0.01 } });
    const atOnce = await times(3, () => cluster.call('/fn/slow/', { method: 'POST', body }));
    expect(atOnce.map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('that raises is a 500 at once, and the next call is answered', async () => {
    const raised = await cluster.call('/fn/slow/', { method: 'POST', body: '{"sleep": "long"}' });
    expect([raised.status, errorOf(raised)], raised.text).toEqual([500, 'function_error']);
    expect((await cluster.call('/fn/slow/', { method: 'POST', body: '{}' })).status).toBe(200);
  });
});

describe('a cLess service', () => {
  const host = { host: 'greeter.localhost' };

  it('is a container on 8080, reached by its host name, path and query untouched', async () => {
    const { image } = await cluster.deploy(fixture('from-cless'), { name: 'greeter' });
    expect((await cluster.call('/a/b?c=%20d', { headers: host })).text).toBe('Hello from cLess, greeter.localhost/a/b?c=%20d\n');
    await cluster.addVersion('greeter', image, { env: { GREETING: 'Bonjour' } });
    await cluster.addVersion('greeter', image, { env: { GREETING: 'Hola' } });
    expect((await cluster.call('/', { headers: host })).text).toContain('Hello from Hola');
  });

  it('shares its requests among versions by weights that sum to 100, and goes back to an older split', async () => {
    const weights = [
      { version: 1, weight: 10 },
      { version: 2, weight: 30 },
      { version: 3, weight: 60 },
    ];
    expect((await cluster.api('PUT', '/v1/functions/greeter/traffic', weights)).status).toBe(200);
    const seen = new Map<string, number>();
    for (let i = 0; i < 300; i += 1) {
      const greeting = /from (\w+)/.exec((await cluster.call('/', { headers: host })).text)?.[1] ?? 'none';
      seen.set(greeting, (seen.get(greeting) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual(['Bonjour', 'Hola', 'cLess']);
    // Five standard deviations either way: one run in a million falls outside.
    expect(Math.abs((seen.get('Hola') ?? 0) - 180)).toBeLessThan(43);
    expect(Math.abs((seen.get('cLess') ?? 0) - 30)).toBeLessThan(27);
    const bad = await cluster.api('PUT', '/v1/functions/greeter/traffic', [{ version: 1, weight: 99 }]);
    expect([bad.status, bad.text]).toEqual([400, expect.stringContaining('100')]);
    expect((await cluster.api('POST', '/v1/functions/greeter/rollback', {})).status).toBe(200);
    expect((await cluster.call('/', { headers: host })).text).toContain('Hola');
  });
});
