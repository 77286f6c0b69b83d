import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CreatedKey, StoreView } from '@kiln/contract/api/control-api';
import { call } from '@kiln/testing/call';
import { type Cluster, type Member, startCluster } from '@kiln/testing/cluster';
import { startCli } from '@kiln/testing/cluster-programs';
import { commandRedis } from '@kiln/testing/redis';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture, times } from '../support/inside.js';

/**
 * How long a store refuses writes, or is empty. The long form is the promise, the short one enough for heartbeats to be missed, and longer
 * than it takes anybody to look again.
 */
const TROUBLE_MS = process.env['KILN_E2E_FULL'] === '1' ? 600_000 : 5000;
const BOUND_MS = TROUBLE_MS + 90_000;
const MAX_CALL_MS = 1000;
const PAUSE_MS = 20;
const names = ['f1', 'f2', 'f3'];
const config = { memory: 64, concurrency: 10, auth: 'key' } as const;

let cluster: Cluster;
let home: string;
let image: string;
let caller: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'kiln-lost-store-'));
  cluster = await startCluster({ nodes: 2, routers: 2 });
  caller = (await cluster.api('POST', '/v1/keys', { name: 'caller', scopes: ['invoke'] })).json<CreatedKey>().apiKey;
  await cluster.client.secrets.set({ TOKEN: 'a value' });
  ({ image } = await cluster.deploy(fixture('evaluate'), { name: 'f1', config: { ...config, secrets: ['TOKEN'] } }));
  for (const name of names.slice(1)) await cluster.addVersion(name, image, config);
  for (const router of cluster.routers) {
    for (const name of names) expect((await callOf(router, name)).status).toBe(200);
    await until('the router holds all', async () => (await view(router)).holds?.functions === names.length);
  }
});
afterAll(async () => {
  await cluster?.stop();
  rmSync(home, { recursive: true, force: true });
});

const callOf = (router: Member, name: string) =>
  call(router.ports.data, `/fn/${name}/?code=return%201`, { headers: { authorization: `Bearer ${caller}` } });
const view = async (router: Member): Promise<StoreView> => (await cluster.api('GET', '/v1/store', undefined, { router })).json<StoreView>();
const everywhere = (what: string, state: StoreView['state'], ms: number) =>
  until(what, async () => (await Promise.all(cluster.routers.map(view))).every((each) => each.state === state), ms);
const ids = async () => (await cluster.containers()).map(({ id }) => id).sort();
const saying = (members: readonly Member[], text: string) => members.filter(({ program }) => program.stdout.includes(text)).length;

async function kiln(...args: string[]): Promise<{ code: number | null; stdout: string }> {
  const url = `http://127.0.0.1:${cluster.router.ports.control}`;
  const program = startCli(args, { KILN_HOME: home, KILN_URL: url, KILN_API_KEY: cluster.shared.adminKey });
  const { code } = await program.exited;
  return { code, stdout: program.stdout };
}

/** Calls of every function through every router, with the key of a caller, until it is ended. */
function load(): { end(): Promise<{ calls: number; failures: string[]; slowest: number }> } {
  const found = { calls: 0, failures: [] as string[], slowest: 0 };
  let over = false;
  const running = times(2, async (worker) => {
    for (let i = worker; !over; i += 1) {
      const began = performance.now();
      const outcome = await callOf(cluster.routers[i % 2] as Member, names[i % names.length] as string).catch((error: Error) => error);
      found.calls += 1;
      found.slowest = Math.max(found.slowest, performance.now() - began);
      if (outcome instanceof Error) found.failures.push(outcome.message);
      else if (outcome.status !== 200) found.failures.push(`${outcome.status} ${outcome.text.slice(0, 300)}`);
      await delay(PAUSE_MS);
    }
  });
  return {
    end: async () => {
      over = true;
      await running;
      return found;
    },
  };
}

describe('a store with which nothing is wrong', () => {
  it('is not mentioned by any agent in its first seconds', () => {
    expect(cluster.agents.map(({ program }) => program.stdout.match(/.*the store.*/)?.[0])).toEqual(cluster.agents.map(() => undefined));
  });
});

describe('a store that refuses writes', () => {
  it.each([
    ['it has used up its memory', 'CONFIG SET maxmemory 1mb', 'CONFIG SET maxmemory 0'],
    // Heartbeats are refused, too.
    ['it is a read-only replica', 'REPLICAOF 127.0.0.1 1', 'REPLICAOF NO ONE'],
  ])('because %s fails no call; every place says so, and all heals by itself', { timeout: BOUND_MS }, async (reason, refuse, takeAgain) => {
    const traffic = load();
    await commandRedis(cluster.shared.redisPort, refuse);
    await everywhere('routers say that writes are refused', 'refuses-writes', 10_000);
    const write = await cluster.api('POST', '/v1/keys', { name: 'another', scopes: ['read'] });
    expect([write.status, write.text]).toEqual([503, expect.stringContaining(`the store refuses writes: ${reason}`)]);
    const status = await kiln('status', '-o', 'json');
    expect(JSON.parse(status.stdout)).toMatchObject({ redis: 'refuses writes', nodes: [{ live: true }, { live: true }] });
    await delay(TROUBLE_MS);
    expect([await cluster.liveNodes(), saying(cluster.agents, `the store refuses writes: ${reason}`)]).toEqual([cluster.nodes, 2]);
    await commandRedis(cluster.shared.redisPort, takeAgain);
    await everywhere('it takes writes again', 'well', 20_000);
    const { calls, failures, slowest } = await traffic.end();
    console.info(`writes refused: ${calls} calls, the slowest took ${slowest.toFixed(0)} ms`);
    expect(failures).toEqual([]);
    expect(slowest).toBeLessThan(MAX_CALL_MS);
    await cluster.addVersion('f3', image, config);
  });
});

describe('a store that was emptied', () => {
  it('undeploys nothing and fails no call; every place says so, and it is written back', { timeout: BOUND_MS }, async () => {
    const before = await ids();
    const versions = (await cluster.api('GET', '/v1/functions/f1/versions')).text;
    const traffic = load();
    await commandRedis(cluster.shared.redisPort, 'FLUSHALL');
    await everywhere('routers say that it was emptied', 'lost', 10_000);
    await until('agents say so', () => saying(cluster.agents, 'the store was emptied') === 2, 10_000);
    expect(saying(cluster.routers, 'the store was emptied')).toBe(2);
    const write = await cluster.api('POST', '/v1/keys', { name: 'another', scopes: ['read'] });
    expect([write.status, write.text]).toEqual([503, expect.stringMatching(/"unavailable".*the store was emptied/)]);
    expect(JSON.parse((await kiln('status', '-o', 'json')).stdout)).toMatchObject({ router: 'degraded', redis: 'has lost data' });
    const doctor = await kiln('doctor', '-o', 'json');
    expect(JSON.parse(doctor.stdout)).toContainEqual(expect.objectContaining({ name: 'store', state: 'failed' }));
    await delay(TROUBLE_MS);
    expect(await ids()).toEqual(expect.arrayContaining(before));

    expect(await kiln('doctor', '--restore-store', '-o', 'text')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^written back: 3 functions/),
    });
    await everywhere('it is whole again', 'well', 10_000);
    const { calls, failures, slowest } = await traffic.end();
    console.info(`store emptied: ${calls} calls, the slowest took ${slowest.toFixed(0)} ms`);
    expect(failures).toEqual([]);
    expect(slowest).toBeLessThan(MAX_CALL_MS);
    expect(await ids()).toEqual(expect.arrayContaining(before));
    expect((await cluster.api('GET', '/v1/functions/f1/versions')).text).toBe(versions);
    await cluster.addVersion('after', image, { memory: 64 });
    expect((await cluster.call('/fn/after/?code=return%201')).status).toBe(200);
  });

  it('takes nothing from a node whose agent starts then', async () => {
    await commandRedis(cluster.shared.redisPort, 'FLUSHALL');
    await everywhere('routers say that it was emptied', 'lost', 10_000);
    const [agent] = cluster.agents as [Member];
    await cluster.kill(agent);
    cluster.restart(agent);
    await cluster.ready();
    await until('its agent says so', () => saying([agent], 'the store was emptied') === 1, 10_000);
    await cluster.client.store.restore();
    await everywhere('it is whole again', 'well', 10_000);
    for (const router of cluster.routers) {
      for (const name of names) expect(await callOf(router, name)).toMatchObject({ status: 200, text: '1' });
    }
  });

  it('undeploys what it lost where somebody orders that', async () => {
    await commandRedis(cluster.shared.redisPort, 'FLUSHALL');
    await everywhere('routers say that it was emptied', 'lost', 10_000);
    expect(await kiln('doctor', '--accept-store', '--yes')).toMatchObject({ code: 0 });
    await until('nothing is deployed', async () => (await cluster.client.functions.list()).length === 0, 10_000);
    await until('nothing runs', async () => (await ids()).length === 0, 20_000);
  });
});
