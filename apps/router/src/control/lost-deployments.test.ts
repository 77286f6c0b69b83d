import type { VersionsPage } from '@kiln/contract/api/control-api';
import { resolveConfig } from '@kiln/contract/config/function-config';
import { type DeploymentRecord, hasEnded } from '@kiln/contract/records/deployment';
import type { DeploymentStep } from '@kiln/state/deployments/deployment-step';
import { DeploymentStore } from '@kiln/state/deployments/deployment-store';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildsTo, built, problemOf, TestCluster } from './cluster.fixture.js';

/** A router that writes this and then nothing more is lost at once. */
const NO_LEASE_MS = 1;
const ENDED_WITHIN_MS = 10_000;
const LOST = 'a-router-that-is-gone';

let cluster: TestCluster;
let deployments: DeploymentStore;

beforeAll(async () => {
  cluster = await TestCluster.start();
  deployments = new DeploymentStore(cluster.store);
});
beforeEach(() => {
  cluster.script = { build: buildsTo(built('sha256:a')), prove: () => 'ready' };
});
afterAll(() => cluster?.stop());

const traffic = async (name: string) => (await cluster.api('GET', `/v1/functions/${name}/traffic`)).json();
const page = async (name: string) => (await cluster.api('GET', `/v1/functions/${name}/versions`)).json<VersionsPage>();
const deploy = (name: string, config: object = {}) => cluster.api('POST', `/v1/functions/${name}/versions`, { image: 'img', config });

function recordOf(name: string, changes: Partial<DeploymentRecord>): DeploymentRecord {
  const now = new Date().toISOString();
  return { id: `lost-${name}`, function: name, state: 'building', router: LOST, startedAt: now, updatedAt: now, ...changes };
}

const stepTo = (record: DeploymentRecord, before = ''): DeploymentStep => ({
  before,
  record,
  leaseMs: NO_LEASE_MS,
});

/** Version 2 beside a first one that serves, as a router left it that is gone. */
async function leftAt(name: string, changes: Partial<DeploymentRecord>): Promise<void> {
  if ((await cluster.functions.get(name)) === undefined) await deploy(name);
  const config = resolveConfig({ timeout: 1234 }, 'runner');
  const draft = { image: 'img@sha256:2', digest: 'sha256:2', kind: 'runner' as const, config, provingNode: 'node-1' };
  await cluster.functions.createVersion(name, draft, {
    step: (version) => stepTo(recordOf(name, { state: 'proving', version, ...changes })),
  });
}

async function ended(name: string): Promise<DeploymentRecord> {
  let record: DeploymentRecord | undefined;
  await until(
    'the lost deployment has ended',
    async () => {
      record = (await deployments.list(name)).find(({ id }) => id === `lost-${name}`);
      return record !== undefined && hasEnded(record);
    },
    ENDED_WITHIN_MS,
  );
  return record as DeploymentRecord;
}

describe('a deployment whose router is lost', () => {
  it('while it builds has failed, and is shown also where there is no function yet', async () => {
    await deployments.begin(stepTo(recordOf('building', {})));
    expect(await ended('building')).toMatchObject({ state: 'failed', failure: { code: 'unavailable' } });
    expect(await page('building')).toMatchObject({
      items: [],
      next: null,
      deployments: [{ state: 'failed', failure: { detail: expect.stringContaining(LOST) } }],
    });
    expect(problemOf(await cluster.api('GET', '/v1/functions/building'))).toEqual([404, 'function_not_found']);
  });

  it.each(['proving', 'warming', 'switching'] as const)('while it is %s is finished', async (state) => {
    await leftAt(state, { state });
    expect(await ended(state)).toMatchObject({ state: 'done', version: 2, router: expect.not.stringContaining(LOST) });
    expect(await traffic(state)).toEqual([{ version: 2, weight: 100 }]);
  });

  it('and whose version does not start has failed, as its version has', async () => {
    cluster.script.prove = () => ({ code: 'start_failed', detail: 'boom' });
    await leftAt('broken', {}).catch(() => undefined);
    expect(await ended('broken')).toMatchObject({ state: 'failed', failure: { code: 'start_failed' } });
  });

  it('without traffic is done without', async () => {
    await leftAt('none', { traffic: 'none' });
    expect(await ended('none')).toMatchObject({ state: 'done' });
    expect(await traffic('none')).toEqual([{ version: 1, weight: 100 }]);
  });

  it('while its version waits for others of one push has failed: none of them gets the traffic', async () => {
    await leftAt('waits', { waits: true });
    expect(await ended('waits')).toMatchObject({ state: 'failed', version: 2, failure: { detail: expect.stringContaining('push again') } });
    expect(await traffic('waits')).toEqual([{ version: 1, weight: 100 }]);
  });

  it('puts a version in the place of the one whose secret has changed, at the same weight', async () => {
    await deploy('renewed');
    await deploy('renewed', { timeout: 99 });
    await cluster.functions.setTraffic('renewed', [
      { version: 1, weight: 30 },
      { version: 2, weight: 70 },
    ]);
    await leftAt('renewed', { replaces: 1 });
    expect(await ended('renewed')).toMatchObject({ state: 'done', version: 3 });
    expect(await traffic('renewed')).toEqual([
      { version: 3, weight: 30 },
      { version: 2, weight: 70 },
    ]);
  });

  it('gives no traffic to a version where a later one has it', async () => {
    await leftAt('superseded', { waits: true });
    await ended('superseded');
    await deploy('superseded', { timeout: 77 });
    await deployments.begin(stepTo(recordOf('superseded', { state: 'switching', version: 2, id: 'lost-superseded-2' })));
    const failed = async () =>
      (await deployments.list('superseded')).find(({ id, state }) => id === 'lost-superseded-2' && hasEnded({ state }));
    await until('it has ended', async () => (await failed()) !== undefined, ENDED_WITHIN_MS);
    expect(await failed()).toMatchObject({ state: 'failed', failure: { code: 'conflict' } });
    expect(await traffic('superseded')).toEqual([{ version: 3, weight: 100 }]);
  });
});

describe('a router that was taken for lost', () => {
  it('finds at its next step that another one has its deployment, and undoes nothing', async () => {
    await deploy('slow');
    cluster.script.prove = () => 'wait';
    const answer = deploy('slow', { timeout: 55 });
    await until('it is proved', async () => (await cluster.functions.version('slow', 2)) !== undefined);
    const { id } = (await deployments.list('slow')).find(({ state }) => state === 'proving') as DeploymentRecord;
    const own = (await deployments.find('slow', id)) as { text: string; record: DeploymentRecord };
    const other = { ...own.record, router: 'another' };
    await deployments.take({ ...stepTo(other, own.text), leaseMs: 60_000 });
    expect(problemOf(await answer)).toEqual([409, 'conflict']);
    expect((await answer).text).toContain('kiln versions slow');
    expect((await deployments.list('slow'))[0]).toEqual(other);
    expect((await cluster.functions.version('slow', 2))?.state).toBe('pending');
  });
});

describe('a deployment that ends', () => {
  it('is told of only where it failed', async () => {
    await deploy('told');
    expect((await page('told')).deployments).toEqual([]);
    cluster.script.prove = () => ({ code: 'start_failed', detail: 'boom' });
    await deploy('told', { timeout: 3 });
    expect((await page('told')).deployments).toMatchObject([{ state: 'failed', version: 2, failure: { code: 'start_failed' } }]);
  });
});
