import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { engine } from '@kiln/testing/engine';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { example, instanceOf, refusals, startOf, times } from '../support/inside.js';

/** With KILN_E2E_FULL=1 as many functions as the promise names, on a node with its default of cores. */
const FULL = process.env['KILN_E2E_FULL'] === '1';
const FUNCTIONS = FULL ? 50 : 12;
const NODE_CPUS: Record<string, number> = FULL ? {} : { KILN_NODE_CPUS: 6 };
const TIMEOUT_MS = FULL ? 600_000 : 90_000;
const CALLS = 50;
/** Says hello; where its configuration says so it never gets that far, and uses no CPU over it. */
const MODULE = `if (process.env.MODE === 'silent') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
module.exports = (req, res) => res.json('hello');`;
/** More than the start gate is wide on 2 cores. */
const SILENT = 6;

let cluster: Cluster;
let image: string;

beforeAll(async () => {
  cluster = await startCluster({ env: NODE_CPUS });
  ({ image } = await cluster.deploy(example('hello'), {
    name: 'one',
    files: { 'index.js': MODULE },
    config: { concurrency: 1 },
  }));
});
afterAll(() => cluster?.stop());

/** Ends what runs from outside, so that the next calls are first calls. */
async function scaledToZero(): Promise<void> {
  for (const { id } of await cluster.containers()) await engine.getContainer(id).kill();
  await until('no instance is left', async () => (await cluster.containers()).length === 0, 60_000);
}

describe('a burst of first calls on one node', () => {
  it(
    'of many functions, more than the node has cores to promise, is refused none',
    async () => {
      const names = Array.from({ length: FUNCTIONS }, (_, i) => `many-${i}`);
      for (const name of names) await cluster.addVersion(name, image, { concurrency: 1 });
      await scaledToZero();
      const began = performance.now();
      const answers = await times(FUNCTIONS, (i) => cluster.call(`/fn/${names[i]}/`));
      console.info(`bursts: ${FUNCTIONS} first calls of ${FUNCTIONS} functions took ${Math.round(performance.now() - began)} ms`);
      expect(refusals(answers)).toEqual([]);
      expect(new Set(answers.map(instanceOf)).size).toBe(FUNCTIONS);
    },
    TIMEOUT_MS,
  );

  it('of one function with concurrency 1 is served by the first instances that are free, not by one for each call', async () => {
    await scaledToZero();
    const began = performance.now();
    const answers = await times(CALLS, () => cluster.call('/fn/one/'));
    const instances = new Set(answers.map(instanceOf)).size;
    console.info(
      `bursts: ${CALLS} first calls of one function took ${Math.round(performance.now() - began)} ms in ${instances} instances, ${(await cluster.containers('one')).length} containers`,
    );
    expect(refusals(answers)).toEqual([]);
    expect(instances).toBeLessThan(CALLS / 2);
  });
});

describe('functions that never listen', () => {
  it('keep no other function from starting', async () => {
    await scaledToZero();
    const names = Array.from({ length: SILENT }, (_, i) => `silent-${i}`);
    const config = { env: { MODE: 'silent' }, startTimeout: 120_000, memory: 64 };
    const deployments = names.map((name) => cluster.addVersion(name, image, config).catch((error: Error) => error));
    await until('all of them are being started', async () =>
      (await Promise.all(names.map((name) => cluster.containers(name)))).every(({ length }) => length === 1),
    );
    const answer = await cluster.call('/fn/one/');
    expect([answer.status, startOf(answer)], answer.text).toEqual([200, 'cold']);
    for (const name of names) expect(await cluster.containers(name), name).toHaveLength(1);

    for (const name of names) expect((await cluster.api('DELETE', `/v1/functions/${name}`)).status).toBeLessThan(300);
    await until('nothing of them is left', async () =>
      (await Promise.all(names.map((name) => cluster.containers(name)))).every(({ length }) => length === 0),
    );
    await Promise.all(deployments);
  });
});
