import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, fixture, inside, instanceOf, sleep } from '../support/inside.js';

const TIMEOUT_MS = 1000;
/** The promise is 250 ms past the timeout; a machine that runs other things beside may take longer. */
const ALLOWED_PAST_MS = 750;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
  const { image } = await cluster.deploy(fixture('evaluate'), { name: 'short', config: { timeout: TIMEOUT_MS } });
  await cluster.addVersion('short-many', image, { timeout: TIMEOUT_MS, concurrency: 10, maxInstances: 1 });
  await cluster.addVersion('neighbour', image, { concurrency: 4 });
});
afterAll(() => cluster?.stop());

async function isGone(id: string): Promise<boolean> {
  return !(await cluster.containers('short')).some(({ instance }) => instance === id);
}

describe('a call past its timeout', () => {
  it.each([
    ['waits for ever', 'await new Promise(() => {})'],
    ['never gives the processor back', 'for (;;) {}'],
  ])('that %s gets 504, its container goes, and the next call runs in a new one', async (_what, code) => {
    const earlier = String(instanceOf(await inside(cluster, 'short', 'return 1')));
    const started = performance.now();
    const answer = await inside(cluster, 'short', code);
    const past = performance.now() - started - TIMEOUT_MS;
    console.info(`timeout: answered ${past.toFixed(0)} ms past ${TIMEOUT_MS} ms`);

    expect([answer.status, errorOf(answer)]).toEqual([504, 'function_timeout']);
    expect(past).toBeGreaterThan(-20);
    expect(past).toBeLessThan(ALLOWED_PAST_MS);
    await until(`instance ${earlier} is gone`, () => isGone(earlier), 5_000);
    const next = await inside(cluster, 'short', 'return 1');
    expect(next.status).toBe(200);
    expect(instanceOf(next)).not.toBe(earlier);
  });

  it('is cut off where the answer had begun, never ended as if it were whole', async () => {
    const call = inside(cluster, 'short', 'res.write("begun"); await new Promise(() => {})');
    await expect(call).rejects.toThrow(/aborted|hang up|reset|terminated/i);
  });

  it('is never noticed by calls of other functions', async () => {
    const slow = inside(cluster, 'short', 'for (;;) {}');
    const durations: number[] = [];
    let over = false;
    void slow.then(() => {
      over = true;
    });
    while (!over) {
      const answer = await inside(cluster, 'neighbour', 'return 1');
      expect(answer.status).toBe(200);
      durations.push(answer.ms);
    }
    expect((await slow).status).toBe(504);
    console.info(`timeout: ${durations.length} calls of a neighbour meanwhile, slowest ${Math.max(...durations).toFixed(0)} ms`);
    expect(durations.length).toBeGreaterThan(10);
  });

  it('lets the others in its instance finish, but no new one in', async () => {
    const stuck = inside(cluster, 'short-many', 'await new Promise(() => {})');
    const id = instanceOf(await inside(cluster, 'short-many', 'return 1'));
    await inside(cluster, 'short-many', sleep(500));
    const late = inside(cluster, 'short-many', sleep(800));
    expect((await stuck).status).toBe(504);

    const after = inside(cluster, 'short-many', 'return 1');
    const finished = await late;
    expect([finished.status, instanceOf(finished)]).toEqual([200, id]);
    const fresh = await after;
    expect(fresh.status).toBe(200);
    expect(instanceOf(fresh)).not.toBe(id);
  });
});
