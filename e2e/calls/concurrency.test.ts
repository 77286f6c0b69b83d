import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { engine } from '@kiln/testing/engine';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture, inside, instanceOf, refusals, sleep, times } from '../support/inside.js';

let cluster: Cluster;
let image: string;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2 });
  ({ image } = await cluster.deploy(fixture('evaluate'), { name: 'one', config: { concurrency: 1, memory: 128 } }));
});
afterAll(() => cluster?.stop());

/** Ids of the containers that the engine makes for a function while `action` runs. */
async function containersMadeDuring<T>(name: string, action: () => Promise<T>): Promise<{ made: string[]; result: T }> {
  const since = Date.now() / 1000;
  const result = await action();
  const events = (await engine.getEvents({
    since,
    until: Date.now() / 1000,
    filters: { type: ['container'], event: ['create'], label: [`kiln.function=${name}`] },
  })) as unknown as AsyncIterable<Buffer>;
  let text = '';
  for await (const chunk of events) text += String(chunk);
  const made = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { id: string }).id);
  return { made: [...new Set(made)], result };
}

/** The instance that proved the version ready is gone: the next calls are first calls. */
async function scaledToZero(name: string): Promise<void> {
  await until(`no instance of ${name}`, async () => (await cluster.containers(name)).length === 0);
}

describe('simultaneous calls', () => {
  it('of 300 ms run in five instances with concurrency 1', async () => {
    const atOnce = await times(5, () => inside(cluster, 'one', sleep(300)));
    console.info(`concurrency: five first calls of 300 ms ran in ${new Set(atOnce.map(instanceOf)).size} instances`);
    // Then long ones: a busy machine may take longer to start five instances than a call of 300 ms runs.
    for (const answers of [
      await times(5, () => inside(cluster, 'one', sleep(8000))),
      await times(5, () => inside(cluster, 'one', sleep(300))),
    ]) {
      expect(refusals(answers)).toEqual([]);
      expect(new Set(answers.map(instanceOf)).size).toBe(5);
    }
  });

  it('of 300 ms run in one instance with concurrency 10', async () => {
    await cluster.addVersion('ten', image, { concurrency: 10, memory: 128 });
    const answers = await times(5, () => inside(cluster, 'ten', sleep(300)));
    expect(refusals(answers)).toEqual([]);
    expect(new Set(answers.map(instanceOf)).size).toBe(1);
    expect(await cluster.containers('ten')).toHaveLength(1);
  });

  it('50 of them as first calls create exactly one container with concurrency 50', async () => {
    await cluster.addVersion('fifty', image, { concurrency: 50, idleTimeout: 500 });
    await scaledToZero('fifty');
    const { made, result } = await containersMadeDuring('fifty', () => times(50, () => inside(cluster, 'fifty', sleep(50))));
    expect(refusals(result)).toEqual([]);
    expect(new Set(result.map(instanceOf)).size).toBe(1);
    expect(made).toHaveLength(1);
  });

  it('50 of them as first calls create exactly five with concurrency 1 and maxInstances 5, and all are answered', async () => {
    await cluster.addVersion('capped', image, { concurrency: 1, maxInstances: 5, memory: 128, idleTimeout: 10_000 });
    await scaledToZero('capped');
    // Long enough that no four instances answer all of them before a busy machine has started the fifth.
    const { made, result } = await containersMadeDuring('capped', () => times(50, () => inside(cluster, 'capped', sleep(300))));
    expect(refusals(result)).toEqual([]);
    expect(new Set(result.map(instanceOf)).size).toBe(5);
    expect(made).toHaveLength(5);
  });
});
