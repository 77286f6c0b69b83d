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

  /** Every router has the node's new life in use: what it knew of the last one says nothing. */
  async function takeBack(node: Member): Promise<void> {
    const before = await viewsOf(node);
    expect((await node.program.end(40_000)).code).toBe(0);
    cluster.restart(node);
    await until(`every router uses ${node.id} again`, async () =>
      (await viewsOf(node)).every(({ epoch, live, draining }, i) => live && !draining && epoch !== before[i]?.epoch),
    );
    await load.next(100);
    expect(load.faults).toEqual([]);
  }

  /** What each router knows of it. */
  function viewsOf({ id }: Member): Promise<Partial<NodeView>[]> {
    return Promise.all(
      cluster.routers.map(async (router) => {
        const { items } = (await cluster.api('GET', '/v1/nodes', undefined, { router })).json<{ items: NodeView[] }>();
        return items.find((node) => node.id === id) ?? {};
      }),
    );
  }

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
      await takeBack(node);
    }
  });

  it('restarts each node in turn, while the other one serves', async () => {
    for (const node of cluster.agents) await takeBack(node);
  });

  it('rolls back through the last router', async () => {
    await cluster.clientOf(last()).rollback(name);
    await allAt(2);
  });
});

it.skipIf(process.env['KILN_OLDER_REQUIRED'] !== '1')('is run with another version beside it', () => {
  expect(OLDER, 'set KILN_OLDER to a built checkout').toBeDefined();
});
