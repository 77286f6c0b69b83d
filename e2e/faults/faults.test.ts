import { setTimeout as delay } from 'node:timers/promises';
import { call } from '@kiln/testing/call';
import { type Cluster, type Member, startCluster } from '@kiln/testing/cluster';
import { containersOf, engine } from '@kiln/testing/engine';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, fixture, instanceOf, nodeOf, refusals, times } from '../support/inside.js';

const FUNCTIONS = 6;
const names = Array.from({ length: FUNCTIONS }, (_, i) => `f${i + 1}`);
/** Under 3 s is the promise. */
const ALLOWED_OUT_OF_USE_MS = 4500;

let cluster: Cluster;
let image: string;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, routers: 2 });
  ({ image } = await cluster.deploy(fixture('evaluate'), { name: 'f1', config: { memory: 128, concurrency: 10 } }));
  for (const name of names.slice(1)) await cluster.addVersion(name, image, { memory: 128, concurrency: 10 });
});
afterAll(() => cluster?.stop());

interface Load {
  statuses: Map<string, number>;
  failures: string[];
  nodes: Map<string, number>;
  end(): Promise<void>;
}

/** Idempotent calls of every function, without a pause, until it is ended. */
function load(workers: number): Load {
  const found: Load = { statuses: new Map(), failures: [], nodes: new Map(), end: async () => {} };
  let over = false;
  const code = encodeURIComponent('await new Promise((r) => setTimeout(r, 20)); return 1');
  const running = times(workers, async (worker) => {
    for (let i = worker; !over; i += 1) {
      const router = cluster.routers[i % cluster.routers.length] as Member;
      const outcome = await call(router.ports.data, `/fn/${names[i % FUNCTIONS]}/?code=${code}`).catch((error: Error) => error);
      const key = outcome instanceof Error ? `broken: ${outcome.message}` : String(outcome.status);
      found.statuses.set(key, (found.statuses.get(key) ?? 0) + 1);
      if (outcome instanceof Error || outcome.status !== 200) {
        found.failures.push(outcome instanceof Error ? outcome.message : `${outcome.status} ${outcome.text.slice(0, 300)}`);
      } else found.nodes.set(String(nodeOf(outcome)), performance.now());
    }
  });
  found.end = async () => {
    over = true;
    await running;
  };
  return found;
}

describe('kill -9 of an agent under load', () => {
  it('takes its node out of use soon, loses no idempotent call, and leaves no orphan after its restart', async () => {
    const victim = cluster.agent(String(nodeOf(await cluster.call('/fn/f1/?code=return%201'))));
    const traffic = load(6);
    await until('calls run on it', () => traffic.nodes.has(victim.id), 20_000);
    const before = await containersOf([victim.id]);
    expect(before.length).toBeGreaterThan(0);

    await cluster.kill(victim);
    const killed = performance.now();
    await until(
      'every router has it out of use',
      async () =>
        (await Promise.all(cluster.routers.map((router) => cluster.liveNodes(router)))).every((live) => !live.includes(victim.id)),
      10_000,
    );
    const outAfter = performance.now() - killed;
    await delay(1500); // Load on the nodes that are left, to be counted.
    await traffic.end();
    console.info(`agent killed: out of use after ${outAfter.toFixed(0)} ms; answers ${JSON.stringify([...traffic.statuses])}`);
    expect(traffic.failures).toEqual([]);
    expect(outAfter).toBeLessThan(ALLOWED_OUT_OF_USE_MS);

    cluster.restart(victim);
    await cluster.ready();
    const orphans = new Set(before.map(({ id }) => id));
    await until('no orphan is left', async () => (await containersOf([victim.id])).every(({ id }) => !orphans.has(id)), 20_000);
    for (const name of names) expect((await cluster.call(`/fn/${name}/?code=return%201`)).status).toBe(200);
  });
});

describe('kill -9 of the node under a function with maxInstances 1', () => {
  it('lets its calls wait for the slot of the dead node: none is refused with 429', async () => {
    await cluster.addVersion('single', image, { memory: 128, maxInstances: 1 });
    const path = '/fn/single/?code=return%201';
    const victim = cluster.agent(String(nodeOf(await cluster.call(path))));
    await cluster.kill(victim);
    const killed = performance.now();
    const answers = await times(5, () => cluster.call(path));
    console.info(`maxInstances 1: served again ${Math.round(performance.now() - killed)} ms after the kill of its node`);
    expect(refusals(answers)).toEqual([]);
    expect(new Set(answers.map(instanceOf)).size).toBe(1);
    expect(answers.map(nodeOf)).not.toContain(victim.id);
    cluster.restart(victim);
    await cluster.ready();
  });
});

describe('kill -9 of Redis', () => {
  it('leaves calls to known functions going, answers control writes with 503, and heals by itself', async () => {
    const before = (await cluster.api('GET', '/v1/functions/f2/versions')).text;
    const traffic = load(3);
    await cluster.killRedis();

    const outage = performance.now();
    while (performance.now() - outage < 6000) {
      const write = await cluster.api('PUT', '/v1/functions/f2/traffic', [{ version: 1, weight: 100 }]);
      expect([write.status, write.json<{ code: string }>().code], write.text).toEqual([503, 'unavailable']);
      expect(Number(write.headers['retry-after'])).toBeGreaterThan(0);
      await delay(200);
    }
    for (const router of cluster.routers) {
      for (const name of names) expect((await cluster.call(`/fn/${name}/?code=return%201`, { router })).status).toBe(200);
    }
    const made = await cluster.api('POST', '/v1/functions/during/versions', { image, config: {} });
    expect([made.status, made.json<{ code: string }>().code]).toEqual([503, 'unavailable']);

    cluster.restartRedis();
    await until(
      'writes go through again',
      async () => (await cluster.api('PUT', '/v1/functions/f2/traffic', [{ version: 1, weight: 100 }])).status === 200,
      15_000,
    );
    await cluster.ready();
    await traffic.end();
    console.info(`redis killed: answers ${JSON.stringify([...traffic.statuses])}`);
    expect(traffic.failures).toEqual([]);
    expect((await cluster.api('GET', '/v1/functions/f2/versions')).text).toBe(before);
    await cluster.addVersion('after', image, { memory: 128 });
    expect((await cluster.call('/fn/after/?code=return%201')).status).toBe(200);
  });
});

/** Calls that nobody may send twice, to the function at home on that node, until it is ended. Resolves with what failed. */
function posting(name: string): () => Promise<string[]> {
  const failures: string[] = [];
  let over = false;
  const running = times(4, async () => {
    while (!over) {
      const answer = await cluster.call(`/fn/${name}/`, {
        method: 'POST',
        headers: { 'content-type': 'text/plain' },
        body: 'await new Promise((r) => setTimeout(r, 50))',
      });
      if (answer.status !== 200) failures.push(`${answer.status} ${errorOf(answer)} ${answer.text}`);
    }
  });
  return async () => {
    over = true;
    await running;
    return failures;
  };
}

describe('a node that drains', () => {
  const nodeOfCall = async () => String(nodeOf(await cluster.call('/fn/f1/?code=return%201')));

  it('loses no call, whatever its method', async () => {
    const home = cluster.agent(await nodeOfCall());
    const end = posting('f1');
    const exit = await home.program.end(40_000);
    expect(await end()).toEqual([]);
    expect(exit.code).toBe(0);
    expect(await containersOf([home.id])).toEqual([]);
    cluster.restart(home);
    await cluster.ready();
  });

  it('takes calls again when that is taken back, and loses none either', async () => {
    await until('every node takes calls', async () => (await cluster.liveNodes()).length === 3);
    const home = await nodeOfCall();
    const end = posting('f1');
    expect((await cluster.api('POST', `/v1/nodes/${home}/drain`)).status).toBe(204);
    await until('another node has its calls', async () => (await nodeOfCall()) !== home);
    expect((await cluster.api('DELETE', `/v1/nodes/${home}/drain`)).status).toBe(204);
    await until('it has its calls again', async () => (await nodeOfCall()) === home);
    expect(await end()).toEqual([]);
  });
});

describe('a router that drains', () => {
  it('finishes what it has and takes nothing new', async () => {
    const router = cluster.routers[1] as Member;
    const slow = cluster.call(
      `/fn/f1/?code=${encodeURIComponent('state.slow = true; await new Promise((r) => setTimeout(r, 1500)); state.slow = false; return 1')}`,
      { router },
    );
    await until('the call runs', async () => (await cluster.call('/fn/f1/?code=return%20state.slow')).json());
    const ended = router.program.end(40_000);
    expect((await slow).status).toBe(200);
    expect((await ended).code).toBe(0);
    cluster.restart(router);
    await cluster.ready();
  });
});

describe('kill -9 of an instance’s container under a call', () => {
  it('is 502 function_crashed, and the next call runs in a new one', async () => {
    const running = cluster.call('/fn/f3/', {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: 'state.on = true; await new Promise(() => {})',
    });
    await until('the call runs', async () => (await cluster.call('/fn/f3/?code=return%20state.on')).json());
    for (const { id } of await cluster.containers('f3')) await engine.getContainer(id).kill();
    const answer = await running;
    expect([answer.status, errorOf(answer)]).toEqual([502, 'function_crashed']);
    expect((await cluster.call('/fn/f3/?code=return%201')).status).toBe(200);
  });
});
