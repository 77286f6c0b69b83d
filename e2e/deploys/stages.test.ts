import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { type Cluster, type Member, startCluster } from '@kiln/testing/cluster';
import { startCli } from '@kiln/testing/cluster-programs';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture } from '../support/inside.js';
import { SteadyLoad } from '../support/steady-load.js';

const NAME = 'steady';
const STAGES = ['--stage', '10,2s', '--stage', '50,2s'];

let cluster: Cluster;
let load: SteadyLoad;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1, routers: 2 });
  await cluster.deploy(fixture(NAME), { name: NAME });
  load = new SteadyLoad(cluster.routers, NAME, { connections: 3, streams: 0 });
});
afterAll(async () => {
  await load?.stop();
  await cluster?.stop();
});

async function kiln(...args: string[]) {
  const url = `http://127.0.0.1:${cluster.router.ports.control}`;
  const program = startCli(args, { KILN_HOME: cluster.shared.home, KILN_URL: url, KILN_API_KEY: cluster.shared.adminKey });
  const { code } = await program.exited;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

const newVersion = async (config: FunctionConfigInput) => (await cluster.client.functions.patch(NAME, config, { traffic: 'none' })).version;

const trafficOf = (router: Member) => cluster.clientOf(router).traffic.get(NAME);

describe('a rollout under load through two routers', () => {
  it('of a version that does well ends with all traffic, and fails no request', async () => {
    const version = await newVersion({ env: { GREETING: 'well' } });
    expect(await trafficOf(cluster.router)).toEqual([{ version: 1, weight: 100 }]);
    // A busy machine is slow at times, whatever version it runs.
    const { code, stderr } = await kiln('rollout', NAME, ...STAGES, '--max-p95', '50x');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/stage 1 of 2, 10 % .*\n.*stage 2 of 2, 50 %/);
    for (const router of cluster.routers) expect(await trafficOf(router)).toEqual([{ version, weight: 100 }]);
    await load.next(200);
    expect([...(await load.next(200)).keys()]).toEqual([version]);
    expect(load.faults).toEqual([]);
  });

  it.each<[string, FunctionConfigInput, RegExp]>([
    ['fails a third of its requests', { env: { FAULTY: '0.33' } }, /\d\d\.\d % of \d+ requests failed, against 0\.0 % before/],
    ['is slower', { env: { SLOW_MS: '400' } }, /95 % of its requests took up to \d+ ms, against/],
  ])('of a version that %s takes it back, says why, and ends with 1', async (_what, config, reason) => {
    const before = await trafficOf(cluster.router);
    const faults = load.faults.length;
    const calls = load.calls.length;
    const version = await newVersion(config);
    const { code, stdout, stderr } = await kiln('rollout', NAME, '--stage', '10,60s', '--min-requests', '20', '--max-p95', '4x');
    expect([code, stdout], stderr).toEqual([1, '']);
    expect(stderr).toMatch(reason);
    for (const router of cluster.routers) expect(await trafficOf(router)).toEqual(before);
    await load.next(200);
    expect([...(await load.next(200)).keys()]).toEqual([before[0]?.version]);
    const wrong = load.faults.slice(faults);
    expect(wrong.filter((fault) => !fault.startsWith(`v${version}: `))).toEqual([]);
    expect(wrong.length).toBeLessThan((load.calls.length - calls) * 0.2);
    expect((await kiln('inspect', NAME, '-o', 'text')).stdout).toMatch(/^rollout: +v\d+: aborted/m);
  });

  it('goes on after every router was killed', async () => {
    await load.stop();
    const version = await newVersion({ env: { GREETING: 'again' } });
    expect((await kiln('rollout', NAME, ...STAGES, '--no-wait')).code).toBe(0);
    await Promise.all(cluster.routers.map((router) => cluster.kill(router)));
    for (const router of cluster.routers) cluster.restart(router);
    await cluster.ready();
    const { rollout, traffic } = await until('the rollout has ended', async () => {
      const view = await cluster.client.functions.get(NAME);
      return view.rollout?.state !== 'running' && view;
    });
    expect(rollout).toMatchObject({ state: 'done', version });
    expect(traffic).toEqual([{ version, weight: 100 }]);
  });
});
