import { setTimeout as delay } from 'node:timers/promises';
import type { VersionsPage } from '@kiln/contract/api/control-api';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { type DeploymentRecord, type DeploymentState, hasEnded } from '@kiln/contract/records/deployment';
import { call } from '@kiln/testing/call';
import { type Cluster, type Member, startCluster } from '@kiln/testing/cluster';
import { startCli } from '@kiln/testing/cluster-programs';
import { folderTar } from '@kiln/testing/folder-tar';
import { commandRedis } from '@kiln/testing/redis';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture } from '../support/inside.js';

/** The promise: from the death of the router to the end of the deployment, where nothing of the function's own takes longer. */
const ENDED_WITHIN_MS = 10_000;
const SLOW_START = "import { setTimeout as delay } from 'node:timers/promises';\nawait delay(3000);\nexport default () => 'new';\n";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1, routers: 2 });
}, 120_000);
afterAll(() => cluster?.stop());

const survivor = () => cluster.routers[1] as Member;

async function page(name: string): Promise<VersionsPage> {
  return (await cluster.api('GET', `/v1/functions/${name}/versions`, undefined, { router: survivor() })).json<VersionsPage>();
}

const traffic = async (name: string) =>
  (await cluster.api('GET', `/v1/functions/${name}/traffic`, undefined, { router: survivor() })).json();

/** The records as they are stored, those that are done included. */
async function recordsOf(name: string): Promise<DeploymentRecord[]> {
  const script = "return {ok = '[' .. table.concat(redis.call('HVALS', KEYS[1]), ',') .. ']'}";
  const reply = await commandRedis(cluster.shared.redisPort, `EVAL "${script}" 1 kiln:deployments:${name}`);
  return (JSON.parse(reply.slice(1)) as DeploymentRecord[]).sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
}

const newest = async (name: string) => (await recordsOf(name))[0];

/** Through the first router; what it answers is nobody's, for it is going to die. */
function deployThere(name: string, files: Record<string, string>, config: FunctionConfigInput = {}, query = ''): void {
  const { adminKey } = cluster.shared;
  void call(cluster.router.ports.control, `/v1/functions/${name}/builds${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/gzip' },
    body: folderTar(fixture('evaluate'), { name, config: { memory: 128, ...config }, files }),
    timeoutMs: 120_000,
  }).catch(() => undefined);
}

/** The record in a state, looked at so often that none is missed for long. */
async function seenIn(name: string, state: DeploymentState): Promise<DeploymentRecord> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const record = await newest(name);
    if (record?.state === state) return record;
    if (performance.now() > deadline) throw new Error(`it is never ${state}: ${JSON.stringify(record)}`);
    await delay(2);
  }
}

/** Kills the first router, and gives the record once it has ended; another router takes the place of the dead one afterwards. */
async function endedWithoutRouter(name: string): Promise<{ record: DeploymentRecord; ms: number }> {
  const killed = performance.now();
  await cluster.kill(cluster.router);
  let record: DeploymentRecord | undefined;
  await until(
    'the deployment has ended',
    async () => {
      record = await newest(name);
      return record !== undefined && hasEnded(record);
    },
    ENDED_WITHIN_MS + 5000,
  );
  const ms = performance.now() - killed;
  cluster.restart(cluster.router);
  await cluster.ready();
  return { record: record as DeploymentRecord, ms };
}

/** The state may last for a millisecond or two: deploys until the first router is stopped in the middle of it. */
async function stoppedWhile(state: DeploymentState, name: string): Promise<DeploymentRecord> {
  for (let attempt = 1; attempt <= 40; attempt += 1) {
    const before = (await newest(name))?.id;
    const answer = cluster.api('PATCH', `/v1/functions/${name}`, { config: { env: { ATTEMPT: String(attempt) } } }).catch(() => undefined);
    let record = await newest(name);
    while (record === undefined || record.id === before || (!hasEnded(record) && record.state !== state)) record = await newest(name);
    if (record.state === state) {
      cluster.router.program.kill('SIGSTOP');
      await delay(50);
      const stopped = await newest(name);
      if (stopped?.state === state) return stopped;
      cluster.router.program.kill('SIGCONT');
    }
    await answer;
  }
  throw new Error('the router was never stopped in time');
}

async function kilnVersions(name: string): Promise<string> {
  const env = { KILN_URL: `http://127.0.0.1:${survivor().ports.control}`, KILN_API_KEY: cluster.shared.adminKey };
  const program = startCli(['versions', name, '-o', 'text'], env);
  await program.exited;
  return program.stdout + program.stderr;
}

/** Of every version that did not fail a deployment says that it is done, or tells people that it failed. */
async function nothingUnreported(name: string): Promise<void> {
  const { items, deployments = [] } = await page(name);
  const done = (await recordsOf(name)).filter(({ state }) => state === 'done');
  const accounted = new Set([...done, ...deployments].map(({ version }) => version));
  // Records are kept of the newest deployments only.
  expect(items.slice(-10).filter(({ version, state }) => state !== 'failed' && !accounted.has(version))).toEqual([]);
}

describe('a router that is killed', () => {
  it('while it builds: the deployment has failed, and what served serves on', async () => {
    await cluster.deploy(fixture('evaluate'), { name: 'building', config: { memory: 128 } });
    deployThere('building', { Dockerfile: 'FROM debian:trixie-slim\nRUN sleep 300\n' });
    await seenIn('building', 'building');
    expect(await kilnVersions('building')).toMatch(/deployment: building since/);
    const { record, ms } = await endedWithoutRouter('building');
    expect(record).toMatchObject({ state: 'failed', failure: { code: 'unavailable' } });
    expect(ms).toBeLessThan(ENDED_WITHIN_MS);
    expect(await kilnVersions('building')).toMatch(/deployment: failed .* the router .* was lost while it built: deploy again/);
    expect(await traffic('building')).toEqual([{ version: 1, weight: 100 }]);
    await nothingUnreported('building');
  }, 120_000);

  it('while it builds the first version: that it failed is told, though there is no function', async () => {
    deployThere('first', { Dockerfile: 'FROM debian:trixie-slim\nRUN sleep 301\n' });
    await seenIn('first', 'building');
    const { record, ms } = await endedWithoutRouter('first');
    expect(record.state).toBe('failed');
    expect(ms).toBeLessThan(ENDED_WITHIN_MS);
    expect(await kilnVersions('first')).toMatch(/deployment: failed/);
  }, 120_000);

  it('while the version is proved: another router waits for it, and gives it the traffic', async () => {
    await cluster.deploy(fixture('evaluate'), { name: 'proving', config: { memory: 128 } });
    deployThere('proving', { 'index.js': SLOW_START });
    await seenIn('proving', 'proving');
    const { record, ms } = await endedWithoutRouter('proving');
    expect(record).toMatchObject({ state: 'done', version: 2 });
    expect(ms).toBeLessThan(ENDED_WITHIN_MS);
    expect(await traffic('proving')).toEqual([{ version: 2, weight: 100 }]);
    await nothingUnreported('proving');
  }, 120_000);

  it('while a version is proved that is to get no traffic: it is done without', async () => {
    await cluster.deploy(fixture('evaluate'), { name: 'none', config: { memory: 128 } });
    deployThere('none', { 'index.js': SLOW_START }, {}, '?traffic=none');
    await seenIn('none', 'proving');
    expect((await endedWithoutRouter('none')).record).toMatchObject({ state: 'done', version: 2 });
    expect(await traffic('none')).toEqual([{ version: 1, weight: 100 }]);
  }, 120_000);

  it.each(['warming', 'switching'] as const)(
    'while the deployment is %s: another router goes on',
    async (state) => {
      await cluster.deploy(fixture('evaluate'), { name: state, config: { memory: 128 } });
      const stopped = await stoppedWhile(state, state);
      const { record, ms } = await endedWithoutRouter(state);
      expect(record).toMatchObject({ id: stopped.id, state: 'done', version: stopped.version });
      expect(ms).toBeLessThan(ENDED_WITHIN_MS);
      expect(await traffic(state)).toEqual([{ version: stopped.version, weight: 100 }]);
      await nothingUnreported(state);
    },
    240_000,
  );

  it('and was only slow: it finds that it has lost the deployment, and says so', async () => {
    await cluster.deploy(fixture('evaluate'), { name: 'paused', config: { memory: 128 } });
    const tar = folderTar(fixture('evaluate'), { name: 'paused', config: { memory: 128 }, files: { 'index.js': SLOW_START } });
    const answer = cluster.build('paused', tar);
    await seenIn('paused', 'proving');
    cluster.router.program.kill('SIGSTOP');
    await until('another router has finished it', async () => (await newest('paused'))?.state === 'done', ENDED_WITHIN_MS + 5000);
    cluster.router.program.kill('SIGCONT');
    expect((await answer).at(-1)).toMatchObject({ type: 'failed', code: 'conflict', fix: expect.stringContaining('kiln versions paused') });
    expect(await newest('paused')).toMatchObject({ state: 'done', version: 2 });
    expect(await traffic('paused')).toEqual([{ version: 2, weight: 100 }]);
    await cluster.ready();
  }, 120_000);
});
