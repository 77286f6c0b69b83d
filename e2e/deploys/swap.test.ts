import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture } from '../support/inside.js';
import { type Call, SteadyLoad, slowest } from '../support/steady-load.js';

const NAME = 'steady';
const CALLERS = 8;
/** A container's start takes processor time from whatever runs beside it. */
const ALLOWED_BEYOND_USUAL_MS = 1000;

let cluster: Cluster;
let load: SteadyLoad;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1, routers: 2 });
  await cluster.deploy(fixture(NAME), { name: NAME, config: { concurrency: 1, memory: 64, env: { SLOW_MS: '50' } } });
  load = new SteadyLoad(cluster.routers, NAME, { connections: CALLERS / 2, streams: 0 });
});
afterAll(async () => {
  await load?.stop();
  await cluster?.stop();
});

/** The calls that ended meanwhile, and some after it. */
async function callsDuring(change: () => Promise<unknown>): Promise<Call[]> {
  const from = load.calls.length;
  await change();
  await load.next(300);
  return load.calls.slice(from);
}

const serving = async () => (await cluster.client.instances(NAME)).filter(({ state }) => state === 'idle' || state === 'busy');

describe(`with one request per instance and ${CALLERS} callers at once`, () => {
  it.each<[string, FunctionConfigInput]>([
    ['a changed variable', { env: { SLOW_MS: '50', GREETING: 'one' } }],
    ['another one', { env: { SLOW_MS: '50', GREETING: 'two' } }],
  ])('%s makes no caller wait for an instance', async (_what, config) => {
    await until('every caller has an instance', async () => (await serving()).length >= CALLERS);
    await load.next(CALLERS); // What was on its way.
    const usual = slowest(await callsDuring(() => load.next(300)));
    const begun = performance.now();
    const calls = await callsDuring(async () => {
      await cluster.client.functions.patch(NAME, config);
      console.info(`deployed in ${Math.round(performance.now() - begun)} ms`);
    });
    const around = slowest(calls);
    const version = Math.max(...calls.map((call) => call.version));
    const cold = calls.filter((call) => call.version === version && call.start === 'cold').length;
    console.info(`slowest call around the swap: ${around} ms, usually ${usual} ms; ${cold} calls waited for a start`);
    expect(around).toBeLessThan(usual + ALLOWED_BEYOND_USUAL_MS);
    expect(cold).toBe(0);
    expect(load.faults).toEqual([]);
  });

  it('a rollback makes none wait either', async () => {
    const usual = slowest(await callsDuring(() => load.next(300)));
    const calls = await callsDuring(() => cluster.client.rollback(NAME));
    const cold = calls.filter(({ start }) => start === 'cold').length;
    console.info(`slowest call around the rollback: ${slowest(calls)} ms, usually ${usual} ms; ${cold} calls waited for a start`);
    expect(slowest(calls)).toBeLessThan(usual + ALLOWED_BEYOND_USUAL_MS);
    expect(cold).toBe(0);
    expect(load.faults).toEqual([]);
  });
});
