import type { FunctionView } from '@kiln/contract/api/control-api';
import { type Cluster, type Member, startCluster } from '@kiln/testing/cluster';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { example, nodeOf } from '../support/inside.js';

const FUNCTIONS = 60;
const CALLS = 5;
const AT_ONCE = 4;
const names = Array.from({ length: FUNCTIONS }, (_, i) => `f${i + 1}`);

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, routers: 2 });
  const { image } = await cluster.deploy(example('hello'), { name: 'f1', config: { memory: 128 } });
  await inTurn(names.slice(1), (name) => cluster.addVersion(name, image, { memory: 128 }));
});
afterAll(() => cluster?.stop());

/** A few at a time, so that load never pushes a call past its home. */
async function inTurn<T, R>(items: readonly T[], action: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let i = next++; i < items.length; i = next++) results[i] = await action(items[i] as T);
    }),
  );
  return results;
}

async function homes(router: Member): Promise<Map<string, string | null>> {
  const found = await inTurn(names, async (name) =>
    (await cluster.api('GET', `/v1/functions/${name}`, undefined, { router })).json<FunctionView>(),
  );
  return new Map(found.map(({ name, home }) => [name, home]));
}

async function nodesThatServe(name: string): Promise<Set<string>> {
  const serving = new Set<string>();
  for (let i = 0; i < CALLS; i += 1) {
    const router = cluster.routers[i % cluster.routers.length] as Member;
    const answer = await cluster.call(`/fn/${name}/`, { router });
    if (answer.status !== 200) throw new Error(`${name}: ${answer.status} ${answer.text}`);
    serving.add(String(nodeOf(answer)));
  }
  return serving;
}

it('keeps every function on its home, on which both routers agree, and moves only the functions of a node that leaves', async () => {
  const [first, second] = cluster.routers as [Member, Member];
  const before = await homes(first);
  expect(await homes(second)).toEqual(before);
  expect([...new Set(before.values())].sort(), 'all nodes are somebody’s home').toEqual(cluster.nodes);

  const serving = await inTurn(names, nodesThatServe);
  for (const [i, name] of names.entries()) expect([...(serving[i] as Set<string>)], name).toEqual([before.get(name)]);

  const leaving = cluster.agents[2] as Member;
  const exit = await leaving.program.end(40_000);
  expect(exit.code, leaving.program.stderr).toBe(0);
  for (const router of cluster.routers) {
    await until(`${router.id} drops ${leaving.id}`, async () => !(await cluster.liveNodes(router)).includes(leaving.id), 10_000);
  }

  const after = await homes(first);
  expect(await homes(second)).toEqual(after);
  const moved = names.filter((name) => after.get(name) !== before.get(name));
  expect(moved).toEqual(names.filter((name) => before.get(name) === leaving.id));
  console.info(`homes: ${moved.length} of ${FUNCTIONS} functions moved, all of them from the node that left`);

  const servingAfter = await inTurn(names, nodesThatServe);
  for (const [i, name] of names.entries()) expect([...(servingAfter[i] as Set<string>)], name).toEqual([after.get(name)]);
}, 240_000);
