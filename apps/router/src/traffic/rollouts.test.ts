import { resolveConfig } from '@kiln/contract/config/function-config';
import type { FunctionRecord } from '@kiln/contract/records/records';
import { startRolloutBody } from '@kiln/contract/records/rollout';
import { FunctionStore } from '@kiln/state/functions/function-store';
import { RolloutStore } from '@kiln/state/functions/rollout-store';
import { connectStore, type Store } from '@kiln/state/store/store';
import { startTestRedis, type TestRedis } from '@kiln/testing/redis';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Announcer } from '../view/announcer.js';
import { Catalog } from '../view/catalog.js';
import { RouteTable } from '../view/route-table.js';
import { Rollouts } from './rollouts.js';
import { startRollout } from './traffic.js';

let redis: TestRedis;
let store: Store;
let functions: FunctionStore;

beforeAll(async () => {
  redis = await startTestRedis();
  store = connectStore(redis.url, { onError: () => undefined });
  await store.whenReady(5000);
  functions = new FunctionStore(store);
});
afterAll(async () => {
  await store?.close();
  await redis?.stop();
});

const draft = { image: 'img', digest: 'sha256:a', kind: 'http', config: resolveConfig({}, 'http'), provingNode: 'node-1' } as const;
const all = (version: number) => [{ version, weight: 100 }];

/** What a router has of rollouts, with a connection and a catalog of its own. */
async function router(id: string) {
  const own = connectStore(redis.url, { onError: () => undefined });
  await own.whenReady(5000);
  const ownFunctions = new FunctionStore(own);
  const catalog = new Catalog(ownFunctions, new RouteTable());
  const announcer = new Announcer(catalog, { emit: async () => undefined });
  const faults: unknown[] = [];
  const log = { info: () => undefined, error: (details: object) => void faults.push(details) };
  const rollouts = new Rollouts({
    functions: ownFunctions,
    rollouts: new RolloutStore(own),
    catalog,
    announcer,
    observers: new Set(),
    router: id,
    log,
  });
  const refresh = setInterval(() => void catalog.refresh().catch(() => undefined), 100);
  rollouts.start();
  const stop = async () => {
    clearInterval(refresh);
    rollouts.stop();
    await own.close();
  };
  onTestFinished(stop);
  onTestFinished(() => expect(faults).toEqual([]));
  return { rollouts, announcer, functions: ownFunctions, stop };
}

type Router = Awaited<ReturnType<typeof router>>;

/** Two versions that are ready, all traffic with the first, and a rollout of the second. */
async function rolledOut(at: Router, name: string, { stages = [{ weight: 20, forMs: 1000 }], limits = {} } = {}): Promise<FunctionRecord> {
  for (const version of [1, 2]) {
    await functions.createVersion(name, draft);
    await functions.markReady(name, version);
  }
  await functions.setTraffic(name, all(1));
  return startRollout(at, name, startRolloutBody.parse({ stages, limits }), 'ci');
}

function requests(at: Router, name: string, version: number, count: number, { status = 200, execMs = 10 } = {}): void {
  for (let i = 0; i < count; i += 1) {
    at.rollouts.observe({ function: name, version, status, end: 'answered', execMs });
  }
}

/** Requests all the time, for routers count only what comes while they know of the rollout. */
function steadily(action: () => void): void {
  const timer = setInterval(action, 50);
  onTestFinished(() => clearInterval(timer));
}

const ended = (name: string) =>
  until(`the rollout of ${name} has ended`, async () => {
    const record = await functions.get(name);
    return record?.rollout?.state === 'running' ? undefined : record;
  });

describe('a rollout that two routers watch', () => {
  it('ends with all traffic, each stage as long as it was to be', async () => {
    const [a, b] = [await router('a1'), await router('b1')];
    const stages = [
      { weight: 20, forMs: 1000 },
      { weight: 60, forMs: 1500 },
    ];
    const begun = await rolledOut(a, 'good', { stages });
    expect(begun).toMatchObject({
      traffic: [
        { version: 1, weight: 80 },
        { version: 2, weight: 20 },
      ],
      rollout: { version: 2, startedBy: 'ci' },
    });
    steadily(() => {
      for (const each of [a, b]) for (const version of [1, 2]) requests(each, 'good', version, 10);
    });
    const { traffic, previousTraffic, rollout } = (await ended('good')) as FunctionRecord;
    expect({ traffic, previousTraffic }).toEqual({ traffic: all(2), previousTraffic: all(1) });
    expect(rollout).toMatchObject({ state: 'done', stage: 1 });
    expect(Date.parse(rollout?.endedAt ?? '') - Date.parse(begun.rollout?.startedAt ?? '')).toBeGreaterThanOrEqual(2500);
  });

  it('is taken back for errors that only both together saw enough of', async () => {
    const [a, b] = [await router('a2'), await router('b2')];
    await rolledOut(a, 'bad', { stages: [{ weight: 20, forMs: 60_000 }], limits: { minRequests: 60 } });
    // Each counts 40 of either kind, once it knows of the rollout.
    await until('both routers watch it', async () => (await new RolloutStore(store).counts('bad')).length === 2);
    for (const each of [a, b]) {
      requests(each, 'bad', 1, 40);
      requests(each, 'bad', 2, 30);
      requests(each, 'bad', 2, 10, { status: 502 });
    }
    const { traffic, previousTraffic, rollout } = (await ended('bad')) as FunctionRecord;
    expect({ traffic, previousTraffic }).toEqual({ traffic: all(1), previousTraffic: [] });
    expect(rollout).toMatchObject({ state: 'aborted', reason: expect.stringContaining('25.0 % of 80 requests failed, against 0.0 %') });
  });

  it('is taken back where it is slower', async () => {
    const a = await router('a3');
    await rolledOut(a, 'slow', { stages: [{ weight: 20, forMs: 60_000 }] });
    steadily(() => {
      requests(a, 'slow', 1, 10, { execMs: 20 });
      requests(a, 'slow', 2, 10, { execMs: 100 });
    });
    expect((await ended('slow'))?.rollout).toMatchObject({ state: 'aborted', reason: expect.stringMatching(/took up to .* ms, against/) });
  });

  it('goes on with another router where the one that moved it is gone', async () => {
    const a = await router('a4');
    await rolledOut(a, 'orphan', {
      stages: [
        { weight: 20, forMs: 2000 },
        { weight: 60, forMs: 1000 },
      ],
    });
    await until('a router watches it', async () => (await new RolloutStore(store).counts('orphan')).length === 1);
    await a.stop();
    await router('b4');
    expect((await ended('orphan'))?.rollout).toMatchObject({ state: 'done' });
  });

  it('ends with any change of the traffic by hand, and a rollback returns to what was before it', async () => {
    const a = await router('a5');
    const stages = [{ weight: 20, forMs: 60_000 }];
    await rolledOut(a, 'cancelled', { stages });
    await expect(startRollout(a, 'cancelled', startRolloutBody.parse({ stages }))).rejects.toMatchObject({ code: 'conflict' });
    const { previousTraffic, traffic, rollout } = await functions.setTraffic('cancelled', all(1));
    expect({ traffic, rollout }).toMatchObject({ traffic: all(1), rollout: { state: 'cancelled', reason: expect.any(String) } });
    expect(previousTraffic).toEqual([]);
    await startRollout(a, 'cancelled', startRolloutBody.parse({ stages }));
    expect(await functions.setTraffic('cancelled', all(2))).toMatchObject({ previousTraffic: all(1), rollout: { state: 'cancelled' } });
  });
});

describe('a rollout', () => {
  it('needs a version that is ready, and others to compare it with', async () => {
    const a = await router('a6');
    const start = (name: string, version?: number) =>
      startRollout(a, name, startRolloutBody.parse({ stages: [{ weight: 20, forMs: 1000 }], ...(version && { version }) }));
    await expect(start('nobody')).rejects.toMatchObject({ code: 'function_not_found' });
    await functions.createVersion('alone', draft);
    await expect(start('alone')).rejects.toMatchObject({ code: 'conflict' });
    await functions.markReady('alone', 1);
    await expect(start('alone')).rejects.toMatchObject({ code: 'conflict' });
    await functions.setTraffic('alone', all(1));
    await expect(start('alone')).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('no other version') });
    await functions.createVersion('alone', draft);
    await expect(start('alone', 2)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('pending') });
    await expect(start('alone', 9)).rejects.toMatchObject({ code: 'version_not_found' });
    expect((await functions.get('alone'))?.rollout).toBeUndefined();
  });
});
