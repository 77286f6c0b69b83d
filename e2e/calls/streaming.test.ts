import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { open } from '@kiln/testing/call';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { example, fixture } from '../support/inside.js';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const ALLOWED_GROWTH_MIB = 64;
/** 50 ms is the promise; a shared machine gets more before the test fails. */
const ALLOWED_DELAY_MS = 250;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
  await cluster.deploy(fixture('echo'), { name: 'echo', config: { maxBody: 2 * GIB, timeout: 120_000 } });
});
afterAll(() => cluster?.stop());

function residentMib(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}

/** Highest growth of router and agent while `action` runs, in MiB. */
async function growthDuring(action: () => Promise<unknown>): Promise<{ router: number; agent: number; ms: number }> {
  const pids = { router: cluster.router.program.pid, agent: cluster.agents[0]?.program.pid as number };
  const before = { router: residentMib(pids.router), agent: residentMib(pids.agent) };
  const most = { ...before };
  const timer = setInterval(() => {
    most.router = Math.max(most.router, residentMib(pids.router));
    most.agent = Math.max(most.agent, residentMib(pids.agent));
  }, 50);
  const started = performance.now();
  try {
    await action();
  } finally {
    clearInterval(timer);
  }
  return { router: most.router - before.router, agent: most.agent - before.agent, ms: performance.now() - started };
}

function* zeros(bytes: number): Generator<Buffer> {
  const chunk = Buffer.alloc(256 * 1024);
  for (let left = bytes; left > 0; left -= chunk.length) yield chunk.subarray(0, Math.min(left, chunk.length));
}

describe('1 GiB streams without being stored', () => {
  beforeAll(async () => {
    // What a process takes once, buffers and compiled code, is not what grows with a body.
    await cluster.call('/fn/echo/_/count', {
      method: 'POST',
      headers: { 'transfer-encoding': 'chunked' },
      body: Readable.from(zeros(16 * MIB)),
    });
    await cluster.call(`/fn/echo/_/download?bytes=${16 * MIB}`);
  });

  it.each([
    ['with its length', { 'content-length': String(GIB) }],
    ['chunked', { 'transfer-encoding': 'chunked' }],
  ])(
    'up, %s',
    async (_how, headers) => {
      const growth = await growthDuring(async () => {
        const answer = await cluster.call('/fn/echo/_/count', {
          method: 'POST',
          headers,
          body: Readable.from(zeros(GIB)),
          timeoutMs: 110_000,
        });
        expect(answer.json(), answer.text).toMatchObject({ bytes: GIB });
      });
      report('up', growth);
    },
    150_000,
  );

  it('down', async () => {
    const growth = await growthDuring(async () => {
      const { response } = await open(cluster.router.ports.data, `/fn/echo/_/download?bytes=${GIB}`, { timeoutMs: 110_000 });
      let bytes = 0;
      for await (const chunk of response) bytes += (chunk as Buffer).length;
      expect(bytes).toBe(GIB);
    });
    report('down', growth);
  }, 150_000);

  it('down to a client that stops reading, which holds it back', async () => {
    const { response, request } = await open(cluster.router.ports.data, `/fn/echo/_/download?bytes=${GIB}`);
    const growth = await growthDuring(async () => {
      response.once('readable', () => response.read(1));
      await new Promise((resolve) => setTimeout(resolve, 1500));
    });
    request.destroy();
    report('held back', growth);
  });
});

function report(what: string, growth: { router: number; agent: number; ms: number }): void {
  console.info(
    `1 GiB ${what}: router +${growth.router.toFixed(0)} MiB, agent +${growth.agent.toFixed(0)} MiB, ${(growth.ms / 1000).toFixed(1)} s`,
  );
  expect(growth.router).toBeLessThan(ALLOWED_GROWTH_MIB);
  expect(growth.agent).toBeLessThan(ALLOWED_GROWTH_MIB);
}

describe('server-sent events', () => {
  it('arrive when they are written', async () => {
    const { response } = await open(cluster.router.ports.data, '/fn/echo/_/events');
    expect(response.headers['content-type']).toBe('text/event-stream');
    const delays: number[] = [];
    for await (const chunk of response) {
      const now = Date.now();
      for (const [, written] of String(chunk).matchAll(/data: (\d+)/g)) delays.push(now - Number(written));
    }
    delays.sort((a, b) => a - b);
    console.info(`events: median ${delays[10]} ms, slowest ${delays.at(-1)} ms after they were written`);
    expect(delays).toHaveLength(20);
    expect(delays.at(-1)).toBeLessThan(ALLOWED_DELAY_MS);
  });

  it('come from the streaming example as events too', async () => {
    await cluster.deploy(example('stream'), { name: 'stream' });
    const { response, request } = await open(cluster.router.ports.data, '/fn/stream/');
    expect(response.headers['content-type']).toMatch(/^text\/event-stream/);
    for await (const chunk of response) {
      expect(String(chunk)).toMatch(/data:/);
      break;
    }
    request.destroy();
  });
});

describe('trailers', () => {
  it('come through from the function', async () => {
    const answer = await cluster.call('/fn/echo/_/trailers', { headers: { te: 'trailers' } });
    expect([answer.text, answer.trailers['x-sum']]).toEqual(['body', '42']);
  });
});

describe('a WebSocket', () => {
  const url = (name: string, path = '/') => `ws://127.0.0.1:${cluster.router.ports.data}/fn/${name}${path}`;

  function opened(target: string): Promise<WebSocket> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(target);
      socket.once('open', () => resolve(socket));
      socket.once('error', reject);
    });
  }

  const message = (socket: WebSocket) => new Promise<Buffer>((resolve) => socket.once('message', (data) => resolve(data as Buffer)));

  it('echoes text and large binary messages, path and query kept', async () => {
    const socket = await opened(url('echo', '/chat%2Froom?x=1'));
    for (const sent of ['hello', Buffer.alloc(200_000, 7)]) {
      const back = message(socket);
      socket.send(sent);
      expect((await back).equals(Buffer.from(sent))).toBe(true);
    }
    socket.close();
    await new Promise((resolve) => socket.once('close', resolve));
  });

  it('holds a lease while it is open, and frees it when the client vanishes', async () => {
    const leases = async () =>
      (await cluster.api('GET', '/v1/functions/echo/instances'))
        .json<{ items: { leases: number }[] }>()
        .items.reduce((sum, instance) => sum + instance.leases, 0);
    const socket = await opened(url('echo'));
    await until('the lease is held', async () => (await leases()) === 1);
    socket.terminate();
    await until('the lease is free', async () => (await leases()) === 0);
  });

  it('that the function refuses gets the function’s own answer', async () => {
    await expect(opened(url('echo', '/refuse'))).rejects.toThrow(/403/);
  });

  it('of a function that does not exist gets 404', async () => {
    await expect(opened(url('nobody'))).rejects.toThrow(/404/);
  });

  it('talks to the WebSocket example', async () => {
    await cluster.deploy(example('websocket'), { name: 'websocket' });
    const socket = await opened(url('websocket'));
    const back = message(socket);
    socket.send('ping');
    expect(String(await back)).toMatch(/ping/);
    socket.terminate();
  });
});
