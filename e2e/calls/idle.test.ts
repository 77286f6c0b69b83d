import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture, inside, instanceOf, sleep, startOf } from '../support/inside.js';

const IDLE_MS = 1500;
/** Gone within 2 s is the promise. */
const ALLOWED_PAST_MS = 3000;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
  await cluster.deploy(fixture('evaluate'), { name: 'brief', config: { idleTimeout: IDLE_MS } });
});
afterAll(() => cluster?.stop());

describe('idle time', () => {
  it('counts from the end of the last call: a call longer than it is not cut', async () => {
    const answer = await inside(cluster, 'brief', sleep(IDLE_MS * 2));
    expect([answer.status, answer.json()]).toEqual([200, 'slept']);
    const next = await inside(cluster, 'brief', 'return 1');
    expect([instanceOf(next), startOf(next)]).toEqual([instanceOf(answer), 'warm']);
  });

  it('ends an instance soon after it is over, and the next call starts a new one', async () => {
    const last = await inside(cluster, 'brief', 'return 1');
    const ended = performance.now();
    await until('the idle instance is gone', async () => (await cluster.containers('brief')).length === 0, IDLE_MS + ALLOWED_PAST_MS);
    const past = performance.now() - ended - IDLE_MS;
    console.info(`idle: gone ${past.toFixed(0)} ms past its ${IDLE_MS} ms`);
    expect(past).toBeGreaterThan(-100);

    const next = await inside(cluster, 'brief', 'return 1');
    expect([next.status, startOf(next)]).toEqual([200, 'cold']);
    expect(instanceOf(next)).not.toBe(instanceOf(last));
  });
});
