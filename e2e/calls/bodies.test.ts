import http from 'node:http';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, fixture, inside } from '../support/inside.js';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2 });
  await cluster.deploy(fixture('echo'), { name: 'echo', config: { maxBody: 200_000 } });
  await cluster.deploy(fixture('evaluate'), { name: 'code', config: { concurrency: 10 } });
});
afterAll(() => cluster?.stop());

const seen = async () => (await cluster.call('/fn/echo/_/seen')).json<{ bytes: number; closed: number; served: string[] }>();

describe('Expect: 100-continue', () => {
  it('is answered when the call may send its body, and the body arrives', async () => {
    const { continued, answer } = await expecting('/fn/echo/', 'the body');
    expect(continued).toBe(true);
    expect(Buffer.from(JSON.parse(answer).body, 'base64').toString()).toBe('the body');
  });

  it('is answered with the refusal itself where the call is refused', async () => {
    const { continued, status } = await expecting('/fn/nobody/', 'the body');
    expect([continued, status]).toEqual([false, 404]);
  });
});

function expecting(path: string, body: string): Promise<{ continued: boolean; status: number; answer: string }> {
  return new Promise((resolve, reject) => {
    let continued = false;
    const request = http.request({
      host: '127.0.0.1',
      port: cluster.router.ports.data,
      path,
      method: 'POST',
      agent: false,
      headers: { expect: '100-continue', 'content-length': Buffer.byteLength(body) },
    });
    request.on('continue', () => {
      continued = true;
      request.end(body);
    });
    request.on('error', reject);
    request.on('response', async (response) => {
      let answer = '';
      for await (const chunk of response) answer += String(chunk);
      request.destroy();
      resolve({ continued, status: response.statusCode ?? 0, answer });
    });
    request.flushHeaders();
  });
}

describe('a body over maxBody', () => {
  it('of known length gets 413 before it is sent', async () => {
    const answer = await cluster.call('/fn/echo/_/count', { method: 'POST', body: Buffer.alloc(200_001) });
    expect([answer.status, errorOf(answer)]).toEqual([413, 'payload_too_large']);
  });

  it('of unknown length gets 413 when it passes the limit, and the function never gets more than that', async () => {
    const before = (await seen()).bytes;
    const answer = await cluster.call('/fn/echo/_/count', {
      method: 'POST',
      headers: { 'transfer-encoding': 'chunked' },
      body: Buffer.alloc(5_000_000),
    });
    expect([answer.status, errorOf(answer)]).toEqual([413, 'payload_too_large']);
    const after = (await seen()).bytes;
    expect(after - before).toBeLessThanOrEqual(200_000);
  });

  it('exactly at the limit is taken', async () => {
    const answer = await cluster.call('/fn/echo/_/count', { method: 'POST', body: Buffer.alloc(200_000) });
    expect(answer.json()).toMatchObject({ bytes: 200_000 });
  });
});

describe('a client that leaves', () => {
  const closedCount = async () => (await seen()).closed;

  it.each(['/_/wait', '/_/slow-body'])('during %s is seen by the function as a closed connection', async (path) => {
    const before = await closedCount();
    const abort = new AbortController();
    const gone = cluster.call(`/fn/echo${path}`, { signal: abort.signal }).catch((error: Error) => error);
    await until('the call runs', async () => (await seen()).served.includes(path));
    abort.abort();
    expect(await gone).toBeInstanceOf(Error);
    await until('the function saw it', async () => (await closedCount()) > before, 5_000);
  });

  it('frees the lease, and the runner’s handler sees close', async () => {
    await inside(cluster, 'code', 'state.closed = 0');
    const abort = new AbortController();
    const code = 'state.running = true; res.on("close", () => { state.closed += 1; }); await new Promise((r) => res.on("close", r));';
    const gone = inside(cluster, 'code', code, { signal: abort.signal }).catch((error: Error) => error);
    await until('the call runs', async () => (await inside(cluster, 'code', 'return state.running === true')).json());
    abort.abort();
    await gone;
    await until('the handler saw it', async () => (await inside(cluster, 'code', 'return state.closed')).json() === 1, 5_000);
    await until('the lease is free', async () => {
      const { items } = (await cluster.api('GET', '/v1/functions/code/instances')).json<{ items: { leases: number }[] }>();
      return items.length === 1 && items[0]?.leases === 0;
    });
  });
});

describe('a body that the client breaks off', () => {
  it('is never taken by the function for a whole one', async () => {
    const answered: number[] = [];
    const request = http.request({
      host: '127.0.0.1',
      port: cluster.router.ports.data,
      path: '/fn/echo/_/count',
      method: 'POST',
      agent: false,
      headers: { 'content-length': 150_000 },
    });
    request.on('error', () => {});
    request.on('response', (response) => answered.push(response.statusCode ?? 0));
    const before = (await seen()).bytes;
    request.write(Buffer.alloc(100_000));
    await until('the function has a part of it', async () => (await seen()).bytes > before);
    request.destroy();
    await until('the lease is free', async () => {
      const { items } = (await cluster.api('GET', '/v1/functions/echo/instances')).json<{ items: { leases: number }[] }>();
      return items.every(({ leases }) => leases === 0);
    });
    expect(answered).toEqual([]);
    expect((await seen()).bytes - before).toBeLessThanOrEqual(100_000);
  });
});
