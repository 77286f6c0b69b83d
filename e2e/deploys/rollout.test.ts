import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import type { Traffic } from '@kiln/contract/records/traffic';
import { type Cluster, type Member, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture } from '../support/inside.js';
import { SteadyLoad, slowest } from '../support/steady-load.js';
import { has, TrafficChanges } from './traffic-changes.js';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2, routers: 2 });
});
afterAll(() => cluster?.stop());

const other = (): Member => cluster.routers[1] as Member;

const deployBuild = (name: string, build: number, config: FunctionConfigInput = {}) =>
  cluster.deploy(fixture('steady'), { name, config, files: { 'build.js': `module.exports = ${build};\n` } });

/** Rolls back on one router; how long until no router sent to the version taken back, and until the other one answered. */
async function rollback(name: string, changes: TrafficChanges, load: SteadyLoad) {
  const begunAt = performance.now();
  await changes.during(() => cluster.clientOf(other()).rollback(name));
  const target = changes.traffic();
  await load.next(500);
  const later = load.calls.filter(({ sentAt, fault }) => sentAt > begunAt && fault === undefined);
  const withdrawn = later.filter(({ version }) => !has(target, version));
  const answered = cluster.routers.map(({ id }) => later.find(({ router, version }) => router === id && has(target, version))?.endedAt);
  return {
    lastSentMs: Math.round(Math.max(begunAt, ...withdrawn.map(({ sentAt }) => sentAt)) - begunAt),
    firstAnswerMs: Math.round(Math.max(...answered.map((at) => at ?? Number.POSITIVE_INFINITY)) - begunAt),
  };
}

describe('under steady load, through two routers', () => {
  const name = 'steady';
  let load: SteadyLoad;
  let changes: TrafficChanges;

  beforeAll(async () => {
    changes = new TrafficChanges(cluster, name);
    await changes.during(() => deployBuild(name, 1));
    load = new SteadyLoad(cluster.routers, name);
  });
  afterAll(() => load?.stop());

  const containersOf = async (traffic: Traffic) =>
    (await cluster.containers(name)).filter(({ version }) => has(traffic, Number(version))).map(({ id }) => id);

  it('five deployments from source fail no request', async () => {
    const from = load.calls.length;
    const begunAt = performance.now();
    for (let build = 2; build <= 6; build += 1) {
      const { version } = await changes.during(() => deployBuild(name, build));
      expect(changes.traffic()).toEqual([{ version, weight: 100 }]);
      await load.next(200);
    }
    const calls = load.calls.slice(from);
    const perSecond = Math.round((calls.length / (performance.now() - begunAt)) * 1000);
    console.info(`while deploying: ${perSecond} calls a second, the slowest ${slowest(calls)} ms`);
    expect(load.faults).toEqual([]);
  });

  it('ten changes of traffic fail no request', async () => {
    for (let i = 0; i < 10; i += 1) {
      const traffic = [
        { version: 6, weight: 100 - i * 10 },
        { version: i % 2 === 0 ? 5 : 4, weight: i * 10 },
      ];
      await changes.put(traffic, cluster.routers[i % 2] as Member);
      await load.next(100);
    }
    expect(load.faults).toEqual([]);
  });

  it.each([[[10, 90]], [[1, 99]], [[33, 33, 34]]])('weights of %j are kept within 2 points over 10,000 calls', async (weights) => {
    const traffic = weights.map((weight, i) => ({ version: 4 + i, weight }));
    await changes.put(traffic, other());
    await load.next(500); // What was on its way.
    const counts = await load.next(10_000);
    for (const { version, weight } of traffic) {
      expect(Math.abs((counts.get(version) ?? 0) / 100 - weight), `v${version}: ${counts.get(version)} of 10,000`).toBeLessThanOrEqual(2);
    }
    expect([...counts.keys()].filter((version) => !has(traffic, version))).toEqual([]);
  });

  it('a changed variable is a new version, and fails no request', async () => {
    const { version } = await changes.during(() => cluster.client.functions.patch(name, { env: { GREETING: 'good day' } }));
    await load.next(500);
    expect([...(await load.next(500)).keys()]).toEqual([version]);
    expect((await cluster.call(`/fn/${name}/`)).json()).toMatchObject({ greeting: 'good day' });
    expect(load.faults).toEqual([]);
  });

  it('a rollback is in effect within 1 s', async () => {
    const before = changes.traffic(2);
    const took = await rollback(name, changes, load);
    expect(changes.traffic()).toEqual(before);
    console.info(`rollback: ${JSON.stringify(took)}`);
    expect(took.lastSentMs).toBeLessThan(1000);
    expect(took.firstAnswerMs).toBeLessThan(1000);
    expect(load.faults).toEqual([]);
  });

  it.each<[string, FunctionConfigInput, string]>([
    ['can not start', { env: { MODE: 'exit' } }, 'start_failed'],
    ['never gets ready', { env: { MODE: 'silent' }, startTimeout: 1500 }, 'start_timeout'],
  ])('a deployment that %s leaves the one before untouched', async (_how, config, code) => {
    const traffic = changes.traffic();
    const containers = await containersOf(traffic);
    await expect(cluster.client.functions.patch(name, config)).rejects.toMatchObject({ code });
    const failed = (await cluster.versions(name)).at(-1);
    expect(failed).toMatchObject({ state: 'failed', failure: { code } });
    expect(await cluster.client.traffic.get(name)).toEqual(traffic);
    expect(await containersOf(traffic)).toEqual(expect.arrayContaining(containers));
    const counts = await load.next(500);
    expect([...counts.keys()].filter((version) => !has(traffic, version))).toEqual([]);
    await until('nothing of it is left', async () =>
      (await cluster.containers(name)).every(({ version }) => version !== String(failed?.version)),
    );
    expect(load.faults).toEqual([]);
  });

  it('what has no traffic any more is drained but for a way back, and gets no request after that', async () => {
    const [before, traffic] = [[{ version: 5, weight: 100 }], [{ version: 6, weight: 100 }]];
    await changes.put(before);
    await load.next(100);
    await changes.put(traffic);
    const drained = async () =>
      (await cluster.containers(name)).every(({ version }) => has(traffic, Number(version)) || has(before, Number(version)));
    await until('only the version with traffic and the one before it run', drained);
    await load.next(500); // What was on its way.
    expect([...(await load.next(2000)).keys()]).toEqual([6]);
    expect(await drained()).toBe(true);
    expect(await containersOf(traffic)).not.toEqual([]);
    expect(await containersOf(before)).not.toEqual([]);
  });

  it('not one request failed or was cut, and none met a version without traffic for long', async () => {
    await load.stop();
    expect(load.faults).toEqual([]);
    const lag = Math.round(changes.longestLag(load.calls));
    const { calls, streams, perSecond } = load;
    console.info(
      `${calls.length} calls, ${perSecond} a second, the slowest ${slowest(calls)} ms, ${streams.length} streams; longest to a version without traffic: ${lag} ms`,
    );
    expect(lag).toBeLessThan(1000);
    expect(streams.length).toBeGreaterThan(10);
  });
});

/** Each of its changes waits for several starts; on a busy machine one takes seconds. */
const ALLOWED_STARTS_MS = 240_000;

describe('with one request per instance, spilled over both nodes', () => {
  const name = 'spilled';
  const config = { concurrency: 1, memory: 64, idleTimeout: 2000 };
  let load: SteadyLoad;
  let changes: TrafficChanges;

  beforeAll(async () => {
    changes = new TrafficChanges(cluster, name);
    await changes.during(() => deployBuild(name, 1, config));
    load = new SteadyLoad(cluster.routers, name, { connections: 5 });
  });
  afterAll(() => load?.stop());

  it('deployments and changes of traffic, which need many instances at once, fail no request', { timeout: ALLOWED_STARTS_MS }, async () => {
    await until('both nodes serve it', () => new Set(load.calls.map(({ node }) => node)).size === 2);
    for (let build = 2; build <= 3; build += 1) {
      await changes.during(() => deployBuild(name, build, config));
      await load.next(200);
    }
    for (const weight of [50, 10, 90]) {
      await changes.put(
        [
          { version: 2, weight },
          { version: 3, weight: 100 - weight },
        ],
        other(),
      );
      await load.next(200);
    }
    for (const version of [2, 3]) await changes.put([{ version, weight: 100 }]);
    await until('the other versions are drained', async () => (await cluster.containers(name)).every(({ version }) => version === '3'));
    expect(load.faults).toEqual([]);
  });

  it('a rollback to a version of which nothing runs any more is in effect within 1 s on all nodes and routers', async () => {
    const took = await rollback(name, changes, load);
    console.info(`rollback, all cold: ${JSON.stringify(took)}`);
    expect(took.lastSentMs).toBeLessThan(1000);
    const since = load.calls.length;
    await until('both nodes serve it', () => new Set(load.calls.slice(since).map(({ node }) => node)).size === 2);
    await load.stop();
    expect(load.faults).toEqual([]);
    expect(changes.longestLag(load.calls)).toBeLessThan(1000);
    console.info(`${load.calls.length} calls, ${load.perSecond} a second`);
  });
});
