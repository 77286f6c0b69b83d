import type { LogRecord, VersionRecord } from '@kiln/contract/records/records';
import type { Answer } from '@kiln/testing/call';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { engine } from '@kiln/testing/engine';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, fixture, inside, instanceOf, sleep, times } from '../support/inside.js';

let cluster: Cluster;
let evaluate: string;
let echo: string;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1, env: { KILN_NODE_MEMORY: 1024 } });
  ({ image: evaluate } = await cluster.deploy(fixture('evaluate'), { name: 'fragile', config: { memory: 128, timeout: 30_000 } }));
  ({ image: echo } = await cluster.deploy(fixture('echo'), { name: 'echo', config: { memory: 128 } }));
});
afterAll(() => cluster?.stop());

const detailOf = (answer: Answer) => answer.json<{ detail: string }>().detail;

async function logs(name: string, query = ''): Promise<LogRecord[]> {
  const answer = await cluster.api('GET', `/v1/functions/${name}/logs${query}`);
  return answer.text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LogRecord);
}

describe('a handler', () => {
  it('that exits the process gets 502 with the exit code', async () => {
    const answer = await inside(cluster, 'fragile', 'process.exit(3)');
    expect([answer.status, errorOf(answer)]).toEqual([502, 'function_crashed']);
    expect(detailOf(answer)).toMatch(/\b3\b/);
    expect((await inside(cluster, 'fragile', 'return 1')).status).toBe(200);
  });

  it.each([
    ['outside the heap', 'const all = []; for (;;) { all.push(Buffer.alloc(8 << 20, 1)); await new Promise((r) => setImmediate(r)); }'],
    ['in the heap', 'const all = []; for (;;) all.push(Array(1e5).fill(Math.random()))'],
  ])('that exhausts the memory %s gets 502 that says so', async (_where, code) => {
    const answer = await inside(cluster, 'fragile', code);
    expect([answer.status, errorOf(answer)]).toEqual([502, 'function_crashed']);
    expect(detailOf(answer)).toMatch(/out of memory/i);
  });

  it('that throws gets 500, its stack is in the logs under the request, and the instance stays', async () => {
    const before = await inside(cluster, 'fragile', 'return 1');
    const answer = await inside(cluster, 'fragile', 'throw new RangeError("out of cheese")');
    expect([answer.status, errorOf(answer)]).toEqual([500, 'function_error']);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(instanceOf(await inside(cluster, 'fragile', 'return 1'))).toBe(instanceOf(before));

    const requestId = String(answer.headers['x-request-id']);
    const line = await until('the stack is in the logs', async () =>
      (await logs('fragile', `?requestId=${requestId}`)).find(({ message }) => message.includes('out of cheese')),
    );
    expect(line).toMatchObject({ function: 'fragile', level: 'error', requestId });
    expect(line.message).toMatch(/RangeError: out of cheese\n\s+at /);
  });

  it('that answers a 502 of its own is passed on as it is', async () => {
    const answer = await cluster.call('/fn/echo/_/error');
    expect([answer.status, answer.text, errorOf(answer)]).toEqual([502, 'my own 502', undefined]);
  });
});

describe('a version that cannot start', () => {
  async function deploymentOf(name: string, image: string, config: object) {
    const answer = await cluster.api('POST', `/v1/functions/${name}/versions`, { image, config });
    return { answer, problem: answer.json<{ code: string; detail: string }>() };
  }

  it('because its image does not exist is refused as start_failed', async () => {
    const { answer, problem } = await deploymentOf('no-image', 'nowhere.invalid/nothing:1', {});
    expect([answer.status, problem.code], problem.detail).toEqual([502, 'start_failed']);
    expect(problem.detail).toMatch(/nowhere\.invalid\/nothing/);
  });

  it('because it exits at once is start_failed with its last log lines, and the old one never stopped serving', async () => {
    const { answer, problem } = await deploymentOf('echo', echo, { memory: 128, env: { MODE: 'exit' } });
    expect([answer.status, problem.code], problem.detail).toEqual([502, 'start_failed']);
    expect(problem.detail).toMatch(/bye from the image/);
    const versions = (await cluster.api('GET', '/v1/functions/echo/versions')).json<{ items: VersionRecord[] }>().items;
    expect(versions.find(({ version }) => version === 2)).toMatchObject({ state: 'failed', failure: { code: 'start_failed' } });
    expect((await cluster.call('/fn/echo/')).headers['x-kiln-version']).toBe('1');
    await until('nothing of it is left', async () => (await cluster.containers('echo')).every(({ version }) => version === '1'));
  });

  it('because it never listens is start_timeout with its last log lines', async () => {
    const { answer, problem } = await deploymentOf('silent', echo, { memory: 128, startTimeout: 2000, env: { MODE: 'silent' } });
    expect([answer.status, problem.code], problem.detail).toEqual([504, 'start_timeout']);
    expect(problem.detail).toMatch(/never listens/);
    await until('nothing of it is left', async () => (await cluster.containers('silent')).length === 0);
  });

  it('any more is answered with start_failed at once for every call, and is not tried again and again', async () => {
    const expiry = Date.now() + 8000;
    await cluster.addVersion('expired', echo, { memory: 128, idleTimeout: 200, env: { MODE: 'expires', UNTIL: String(expiry) } });
    await until(
      'its time is over and no instance is left',
      async () => Date.now() > expiry && (await cluster.containers('expired')).length === 0,
    );

    const made = await createdDuring('expired', async () => {
      const end = performance.now() + 4000;
      while (performance.now() < end) {
        const answers = await times(5, () => cluster.call('/fn/expired/'));
        for (const answer of answers) {
          expect([answer.status, errorOf(answer)]).toEqual([502, 'start_failed']);
          expect(detailOf(answer)).toMatch(/bye from the image/);
        }
      }
    });
    console.info(`failures: ${made} starts of a version that cannot start in 4 s of calls`);
    expect(made).toBeLessThanOrEqual(6);
  });
});

async function createdDuring(name: string, action: () => Promise<void>): Promise<number> {
  let made = 0;
  const events = await engine.getEvents({ filters: { type: ['container'], event: ['create'], label: [`kiln.function=${name}`] } });
  events.on('data', (chunk: Buffer) => {
    made += String(chunk).split('"Action":"create"').length - 1;
  });
  try {
    await action();
  } finally {
    (events as unknown as { destroy(): void }).destroy();
  }
  return made;
}

describe('where there is no room', () => {
  it('in the queue, the call gets 429 with Retry-After', async () => {
    await cluster.addVersion('narrow', evaluate, { memory: 128, maxInstances: 1, concurrency: 1, queue: 2 });
    const answers = await times(10, () => inside(cluster, 'narrow', sleep(700)));
    const served = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status }) => status !== 200);
    expect(served).toHaveLength(3);
    for (const answer of refused) {
      expect([answer.status, errorOf(answer)]).toEqual([429, 'concurrency_limit']);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      expect(answer.ms).toBeLessThan(600);
    }
  });

  it('in the memory of any node, the call waits for it, and gets 503 with Retry-After where it waits in vain', async () => {
    await cluster.addVersion('large', evaluate, { memory: 600, timeout: 60_000 });
    await cluster.addVersion('larger', evaluate, { memory: 900, startTimeout: 2000 });
    const leave = new AbortController();
    // Its place is free when its work has ended: it stops when its caller leaves.
    const untilLeft = 'await new Promise((resolve) => res.once("close", resolve));';
    const busy = inside(cluster, 'large', untilLeft, { signal: leave.signal }).catch((error: Error) => error);
    await until('it runs', async () =>
      (await cluster.api('GET', '/v1/functions/large/instances'))
        .json<{ items: { leases: number }[] }>()
        .items.some(({ leases }) => leases > 0),
    );
    const refused = await inside(cluster, 'larger', 'return 1');
    expect([refused.status, errorOf(refused)]).toEqual([503, 'no_capacity']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(refused.ms).toBeGreaterThan(2000);
    const waiting = inside(cluster, 'larger', 'return 1');
    leave.abort();
    expect(await busy).toBeInstanceOf(Error);
    const served = await waiting;
    expect(served.status, served.text).toBe(200);
  });
});
