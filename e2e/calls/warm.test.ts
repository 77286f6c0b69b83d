import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { example, instanceOf, nodeOf, startOf } from '../support/inside.js';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 3 });
  await cluster.deploy(example('hello'), { name: 'hello' });
  await cluster.deploy(example('counter'), { name: 'counter' });
});
afterAll(() => cluster?.stop());

describe('a deployed function', () => {
  it('answers, and the second call is warm in the same instance on the same node', async () => {
    const first = await cluster.call('/fn/hello/');
    const second = await cluster.call('/fn/hello/');

    expect(first.status, first.text).toBe(200);
    expect(first.text).toMatch(/hello/i);
    expect(second.status).toBe(200);
    expect(startOf(second)).toBe('warm');
    expect(instanceOf(second)).toBe(instanceOf(first));
    expect(nodeOf(second)).toBe(nodeOf(first));
    expect(cluster.nodes).toContain(nodeOf(second));
  });

  it('keeps its module state between calls', async () => {
    const counts: number[] = [];
    for (let i = 0; i < 3; i += 1) counts.push(Number((await cluster.call('/fn/counter/')).text.match(/\d+/)?.[0]));
    expect(counts).toEqual([counts[0], (counts[0] as number) + 1, (counts[0] as number) + 2]);
  });

  it('carries every header of the contract', async () => {
    const { headers } = await cluster.call('/fn/hello/');
    expect(headers['x-request-id']).toMatch(/^[A-Za-z0-9._:-]{1,128}$/);
    expect(headers['x-kiln-version']).toBe('1');
    expect(headers['x-kiln-instance']).toMatch(/^[A-Za-z0-9-]+$/);
    expect(headers['server-timing']).toMatch(
      /route;dur=\d+(\.\d+)?, ?queue;dur=\d+(\.\d+)?, ?start;dur=\d+(\.\d+)?, ?exec;dur=\d+(\.\d+)?/,
    );
    expect(Object.keys(headers).filter((name) => name.startsWith('x-kiln-'))).toEqual(
      expect.not.arrayContaining(['x-kiln-timing', 'x-kiln-load', 'x-kiln-secret', 'x-kiln-not-executed']),
    );
  });

  it('keeps the caller’s request id where it is a good one, and makes one where it is not', async () => {
    const own = await cluster.call('/fn/hello/', { headers: { 'x-request-id': 'order:17.a-b_c' } });
    const bad = await cluster.call('/fn/hello/', { headers: { 'x-request-id': 'no spaces allowed' } });
    expect(own.headers['x-request-id']).toBe('order:17.a-b_c');
    expect(bad.headers['x-request-id']).toMatch(/^[A-Za-z0-9._:-]{1,128}$/);
  });

  it('is reached by host as well as by path, and at a fixed version by both', async () => {
    const answers = [
      await cluster.call('/', { headers: { host: 'hello.localhost' } }),
      await cluster.call('/', { headers: { host: `v1--hello.localhost:${cluster.router.ports.data}` } }),
      await cluster.call('/fn/hello@1/'),
    ];
    for (const answer of answers) {
      expect(answer.status, answer.text).toBe(200);
      expect(answer.headers['x-kiln-version']).toBe('1');
    }
  });

  it('is not found under a name or version that nobody deployed', async () => {
    const missing = await cluster.call('/fn/nobody/');
    const version = await cluster.call('/fn/hello@9/');
    expect([missing.status, missing.headers['x-kiln-error']]).toEqual([404, 'function_not_found']);
    expect([version.status, version.headers['x-kiln-error']]).toEqual([404, 'version_not_found']);
    expect(missing.headers['content-type']).toBe('application/problem+json');
    expect(missing.json()).toMatchObject({ code: 'function_not_found', status: 404, requestId: missing.headers['x-request-id'] });
  });

  it('gets GET and HEAD without the slash redirected, query kept, and runs other methods', async () => {
    const redirected = await cluster.call('/fn/hello?a=1&b=%2F');
    const posted = await cluster.call('/fn/hello', { method: 'POST' });
    expect([redirected.status, redirected.headers.location]).toEqual([307, '/fn/hello/?a=1&b=%2F']);
    expect(posted.status).toBe(200);
  });

  it('is deployed again without a change as the same version', async () => {
    const again = await cluster.deploy(example('hello'), { name: 'hello' });
    expect([again.version, again.changed]).toEqual([1, false]);
  });
});
