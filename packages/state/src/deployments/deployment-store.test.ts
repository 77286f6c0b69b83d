import { setTimeout as delay } from 'node:timers/promises';
import type { DeploymentRecord, DeploymentState } from '@kiln/contract/records/deployment';
import { until } from '@kiln/testing/until';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { FunctionStore } from '../functions/function-store.js';
import { draft } from '../state.fixture.js';
import { redis, store, withStore } from '../with-store.fixture.js';
import { type DeploymentStep, TakenOver } from './deployment-step.js';
import { DeploymentStore } from './deployment-store.js';

const LEASE_MS = 60_000;
const SHORT_MS = 50;

let deployments: DeploymentStore;
let functions: FunctionStore;

withStore();
beforeAll(() => {
  deployments = new DeploymentStore(store);
  functions = new FunctionStore(store);
});

let made = 0;

function recordOf(name: string, state: DeploymentState, changes: Partial<DeploymentRecord> = {}): DeploymentRecord {
  made += 1;
  const now = new Date(Date.UTC(2030, 0, 1) + made * 1000).toISOString();
  return { id: `d${made}`, function: name, state, router: 'router-a', startedAt: now, updatedAt: now, ...changes };
}

/** From one record of a deployment to the next. */
function stepOf(before: DeploymentRecord | undefined, record: DeploymentRecord, leaseMs = LEASE_MS): DeploymentStep {
  return { before: before === undefined ? '' : JSON.stringify(before), record, leaseMs };
}

async function begun(name: string, leaseMs = LEASE_MS): Promise<DeploymentRecord> {
  const record = recordOf(name, 'building');
  await deployments.begin(stepOf(undefined, record, leaseMs));
  return record;
}

const lostIds = async () => (await deployments.lost()).map(({ id }) => id);

describe('a step of a deployment', () => {
  it('comes together with the version that it makes, or not at all', async () => {
    const first = await begun('shop');
    const step = (version: number) => stepOf(first, { ...first, state: 'proving', version });
    expect(await functions.createVersion('shop', draft, { step })).toMatchObject({ version: 1 });
    expect(await deployments.list('shop')).toMatchObject([{ state: 'proving', version: 1 }]);
    // By who does not know the last record: nothing happens.
    await expect(functions.createVersion('shop', draft, { step })).rejects.toBeInstanceOf(TakenOver);
    expect(await functions.get('shop')).toMatchObject({ lastVersion: 1 });
  });

  it('comes together with the traffic, or not at all', async () => {
    const { version } = await functions.createVersion('moved', draft);
    await functions.markReady('moved', version);
    const first = await begun('moved');
    const steps = [stepOf(first, { ...first, state: 'done', version })];
    await expect(functions.setTraffic('moved', [{ version: 7, weight: 100 }], { steps })).rejects.toMatchObject({
      code: 'version_not_found',
    });
    expect(await deployments.list('moved')).toMatchObject([{ state: 'building' }]);
    await functions.setTraffic('moved', [{ version, weight: 100 }], { steps });
    expect(await deployments.list('moved')).toMatchObject([{ state: 'done' }]);
    // Somebody moves the traffic by hand: who died right behind the step can't move it back.
    await functions.setTraffic('moved', []);
    await expect(functions.setTraffic('moved', [{ version, weight: 100 }], { steps })).rejects.toBeInstanceOf(TakenOver);
    expect((await functions.get('moved'))?.traffic).toEqual([]);
  });

  it('takes out a version only for who has the deployment', async () => {
    const { version } = await functions.createVersion('slow', draft);
    const first = await begun('slow');
    const other = { ...first, router: 'router-b' };
    await deployments.take(stepOf(first, other));
    await expect(functions.withdraw('slow', version, [stepOf(first, first)])).rejects.toBeInstanceOf(TakenOver);
    expect(await functions.withdraw('slow', version, [stepOf(other, other)])).toBe('withdrawn');
  });
});

describe('a lost deployment', () => {
  it('is one whose lease has run out, and no other', async () => {
    const [kept, lost] = [await begun('leases'), await begun('leases', SHORT_MS)];
    await until('the lease has run out', async () => (await lostIds()).includes(lost.id));
    expect(await lostIds()).not.toContain(kept.id);
    await deployments.take(stepOf(lost, lost));
    expect(await lostIds()).not.toContain(lost.id);
  });

  it('is taken over by one of those that try, and its router has lost it', async () => {
    const lost = await begun('claimed', SHORT_MS);
    await until('the lease has run out', async () => (await lostIds()).includes(lost.id));
    const claims = ['b', 'c', 'd'].map((router) => deployments.claim(stepOf(lost, { ...lost, router })));
    const results = await Promise.allSettled(claims);
    expect(results.filter(({ status }) => status === 'fulfilled')).toEqual([{ status: 'fulfilled', value: true }]);
    await expect(deployments.take(stepOf(lost, lost))).rejects.toBeInstanceOf(TakenOver);
  });

  it('is not taken over where its router has kept it meanwhile', async () => {
    const slow = await begun('kept', SHORT_MS);
    await until('the lease has run out', async () => (await lostIds()).includes(slow.id));
    await deployments.take(stepOf(slow, slow));
    expect(await deployments.claim(stepOf(slow, { ...slow, router: 'router-b' }))).toBe(false);
  });

  it('survives a kill of the store', async () => {
    const lost = await begun('durable', SHORT_MS);
    await redis.kill();
    await redis.restart();
    await until('it is there again', async () => (await lostIds().catch((): string[] => [])).includes(lost.id));
    await until('its record too', async () => (await deployments.find('durable', lost.id).catch(() => undefined)) !== undefined);
  });

  it('that has ended is lost no more', async () => {
    const first = await begun('ended', SHORT_MS);
    await deployments.take(stepOf(first, { ...first, state: 'failed' }));
    await delay(2 * SHORT_MS);
    expect(await lostIds()).not.toContain(first.id);
  });
});

describe('the records of a function', () => {
  it('are the newest 20 that have ended, and those under way', async () => {
    const open = await begun('many');
    for (let i = 0; i < 25; i += 1) {
      const record = await begun('many');
      await deployments.take(stepOf(record, { ...record, state: 'failed' }));
    }
    const all = await deployments.list('many');
    expect(all).toHaveLength(21);
    expect(all.at(-1)?.id).toBe(open.id);
  });

  it('go with it, but for those under way', async () => {
    await functions.createVersion('removed', draft);
    const [ended, open] = [await begun('removed'), await begun('removed')];
    await deployments.take(stepOf(ended, { ...ended, state: 'done' }));
    await functions.remove('removed');
    expect((await deployments.list('removed')).map(({ id }) => id)).toEqual([open.id]);
  });

  it('keep what a later Kiln wrote, which is not changed here', async () => {
    const raw = new Redis(redis.url);
    onTestFinished(() => raw.disconnect());
    const later = { ...recordOf('later', 'proving'), schema: 2, more: 'kept' };
    await raw.hset('kiln:deployments:later', later.id, JSON.stringify(later));
    await expect(deployments.find('later', later.id)).rejects.toMatchObject({ code: 'conflict' });
    expect(await deployments.list('later')).toMatchObject([{ more: 'kept' }]);
  });
});
