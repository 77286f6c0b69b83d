import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeView } from '@kiln/contract/api/control-api';
import { type Checkouts, type Cluster, type Member, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture } from '../support/inside.js';
import { SteadyLoad, slowest } from '../support/steady-load.js';

/** A built checkout of another version of Kiln; `node scripts/older-build.mjs` makes one. The nightly workflow names it. */
const OLDER = process.env['KILN_OLDER'];
const NEWER = undefined;

if (OLDER !== undefined && !existsSync(join(OLDER, 'apps/router/dist/main.js')))
  throw new Error(`KILN_OLDER: no built checkout at ${OLDER}`);

const COMBINATIONS: [string, Required<Checkouts>][] = [
  ['a new router with an older and a new node', { routers: [NEWER], nodes: [OLDER, NEWER] }],
  ['an older router with an older and a new node', { routers: [OLDER], nodes: [OLDER, NEWER] }],
  ['an older and a new router with an older and a new node', { routers: [OLDER, NEWER], nodes: [NEWER, OLDER] }],
];

const name = 'steady';

/** Ends the node and starts it again; every router then has its new life in use: what it knew of the last one says nothing. */
async function takeBack(cluster: Cluster, load: SteadyLoad, node: Member, start = () => cluster.restart(node)): Promise<void> {
  const before = await viewsOf(cluster, node);
  expect((await node.program.end(40_000)).code).toBe(0);
  start();
  await until(`every router uses ${node.id} again`, async () =>
    (await viewsOf(cluster, node)).every(({ epoch, live, draining }, i) => live && !draining && epoch !== before[i]?.epoch),
  );
  await load.next(100);
  expect(load.faults).toEqual([]);
}

/** What each router knows of it. */
function viewsOf(cluster: Cluster, { id }: Member): Promise<Partial<NodeView>[]> {
  return Promise.all(
    cluster.routers.map(async (router) => {
      const { items } = (await cluster.api('GET', '/v1/nodes', undefined, { router })).json<{ items: NodeView[] }>();
      return items.find((node) => node.id === id) ?? {};
    }),
  );
}

describe.skipIf(OLDER === undefined).each(COMBINATIONS)('%s, under load', (what, checkouts) => {
  let cluster: Cluster;
  let load: SteadyLoad;

  beforeAll(async () => {
    cluster = await startCluster({ routers: checkouts.routers.length, nodes: checkouts.nodes.length, checkouts });
    await deployBuild(1);
    load = new SteadyLoad(cluster.routers, name, { connections: 4 });
    await load.next(200);
  });
  afterAll(async () => {
    await load?.stop();
    if (load !== undefined) {
      const calls = [...load.calls, ...load.streams];
      console.info(`${what}: ${calls.length} calls, ${load.faults.length} failed, the slowest call ${slowest(load.calls)} ms`);
    }
    await cluster?.stop();
  });

  const deployBuild = (build: number) => cluster.deploy(fixture('steady'), { name, files: { 'build.js': `module.exports = ${build};\n` } });
  const last = () => cluster.routers.at(-1) as Member;
  const nodesOf = (calls: SteadyLoad['calls']) => new Set(calls.map(({ node }) => node));

  /** Every router has sent its calls to the version, and to no other, once the change is told. */
  async function allAt(version: number): Promise<void> {
    await until(`all calls reach version ${version}`, async () => [...(await load.next(100)).keys()].every((seen) => seen === version));
    expect(load.faults).toEqual([]);
  }

  it('deploys from source, and gives the new version the traffic', async () => {
    const { version } = await deployBuild(2);
    expect(version).toBe(2);
    await allAt(2);
  });

  it('deploys an image through the last router, on the other node', async () => {
    const [{ image } = { image: '' }] = await cluster.versions(name);
    const body = { image, config: { env: { GREETING: 'again' } } };
    const answer = await cluster.api('POST', `/v1/functions/${name}/versions`, body, { router: last() });
    expect(answer.status, answer.text).toBeLessThan(300);
    await allAt(3);
  });

  async function leftOut({ id }: Member): Promise<void> {
    await until(`no call reaches ${id}`, async () => {
      const from = load.calls.length;
      await load.next(100);
      return !nodesOf(load.calls.slice(from + 20)).has(id);
    });
  }

  it('drains each node in turn and takes it back', async () => {
    for (const node of cluster.agents) {
      const answer = await cluster.api('POST', `/v1/nodes/${node.id}/drain`, undefined, { router: last() });
      expect(answer.status, answer.text).toBeLessThan(300);
      await leftOut(node);
      await takeBack(cluster, load, node);
    }
  });

  it('restarts each node in turn, while the other one serves', async () => {
    for (const node of cluster.agents) await takeBack(cluster, load, node);
  });

  it('rolls back through the last router', async () => {
    await cluster.clientOf(last()).rollback(name);
    await allAt(2);
  });
});

describe.skipIf(OLDER === undefined).each([
  ['routers first', ['routers', 'agents']],
  ['nodes first', ['agents', 'routers']],
] as const)('a cluster under load behind a load balancer, %s,', (what, order) => {
  let cluster: Cluster;
  let load: SteadyLoad;

  beforeAll(async () => {
    const env = { KILN_DRAIN_DELAY: 1000 };
    cluster = await startCluster({ routers: 2, nodes: 2, env, checkouts: { routers: [OLDER, OLDER], nodes: [OLDER, OLDER] } });
    await cluster.deploy(fixture('steady'), { name });
    load = new SteadyLoad(cluster.routers, name, { connections: 2, balanced: true });
    await load.next(100);
  });
  afterAll(async () => {
    await load?.stop();
    if (load !== undefined) console.info(`${what}: ${load.calls.length} calls, ${load.faults.length} failed`);
    await cluster?.stop();
  });

  async function replaceAll(checkout: string | undefined, kinds: readonly ('routers' | 'agents')[]): Promise<void> {
    for (const kind of kinds) for (const member of cluster[kind]) await replace(member, checkout);
  }

  /** As docs/how-to/upgrade.md says. */
  async function replace(member: Member, checkout: string | undefined): Promise<void> {
    const start = () => cluster.startFrom(checkout, member);
    if (cluster.agents.includes(member)) return takeBack(cluster, load, member, start);
    expect((await member.program.end(40_000)).code).toBe(0);
    start();
    await cluster.ready();
    await until(`calls go through ${member.id} again`, async () => {
      const from = load.calls.length;
      await load.next(50);
      return load.calls.slice(from).some(({ router }) => router === member.id);
    });
    expect(load.faults).toEqual([]);
  }

  it('is upgraded one process at a time', () => replaceAll(NEWER, order), 240_000);

  it('deploys, and goes back the same way', async () => {
    await cluster.deploy(fixture('steady'), { name, files: { 'build.js': 'module.exports = 2;\n' } });
    await replaceAll(OLDER, order.toReversed());
    expect(await load.next(50)).toEqual(new Map([[2, 50]]));
  }, 240_000);
});

it.skipIf(process.env['KILN_OLDER_REQUIRED'] !== '1')('is run with another version beside it', () => {
  expect(OLDER, 'set KILN_OLDER to a built checkout').toBeDefined();
});
