import { resolveConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { NodeRecord, VersionRecord } from '@kiln/contract/records/records';
import { startRolloutBody } from '@kiln/contract/records/rollout';
import type { KeepPolicy } from '@kiln/instances/pool/keep-policy';
import { describe, expect, it } from 'vitest';
import { Homes } from './homes.js';
import { plan } from './plan.js';
import { StoredSlots } from './slots.js';
import { type Desired, VersionTable } from './version-table.js';

const time = '2026-01-01T00:00:00.000Z';

function version(number: number, change: Partial<VersionRecord> = {}): VersionRecord {
  const config = resolveConfig({ maxInstances: 3 }, 'runner');
  return {
    function: 'f',
    version: number,
    image: 'i',
    digest: 'd',
    kind: 'runner',
    config,
    state: 'ready',
    provingNode: 'me',
    createdAt: time,
    ...change,
  };
}

function desired(versions: VersionRecord[], traffic: number[] = [], previous: number[] = []): Desired {
  const share = (number: number) => ({ version: number, weight: 100 });
  return {
    function: {
      name: 'f',
      revision: 1,
      lastVersion: versions.length,
      traffic: traffic.map(share),
      previousTraffic: previous.map(share),
      sticky: false,
      createdAt: time,
      updatedAt: time,
    },
    versions,
  };
}

interface Actual {
  home?: boolean;
  keepPolicy?: KeepPolicy;
}

const run = (all: Desired[], actual: number[] = [], { home = true, keepPolicy = 'wanted' }: Actual = {}) =>
  plan({ node: 'me', desired: all, actual: actual.map((number) => ({ function: 'f', version: number, keepPolicy })), isHome: () => home });

describe('the plan', () => {
  it('proves a new version where it was sent to be proved, and nowhere else', () => {
    const pending = version(1, { state: 'pending' });
    expect(run([desired([pending])])).toEqual([{ kind: 'prove', version: pending }]);
    expect(run([desired([version(1, { state: 'pending', provingNode: 'other' })])])).toEqual([]);
  });

  it('removes what is gone from the store, and what failed', () => {
    expect(run([], [1])).toEqual([{ kind: 'remove', function: 'f', version: 1 }]);
    expect(run([desired([version(1, { state: 'failed' })])], [1])).toEqual([{ kind: 'remove', function: 'f', version: 1 }]);
  });

  it('keeps what is there and can not be read', () => {
    expect(run([{ ...desired([version(1)]), unread: [2] }], [2])).toEqual([]);
  });

  it('keeps what had the traffic just before for a rollback, and retires what had it earlier', () => {
    const deployed = desired([version(1), version(2), version(3)], [3], [2]);
    expect(run([deployed], [1, 2, 3])).toMatchObject([
      { version: { version: 1 }, keepPolicy: 'retired' },
      { version: { version: 2 }, keepPolicy: 'previous' },
      { version: { version: 3 }, keepPolicy: 'wanted' },
    ]);
    const rolledBack = desired([version(1), version(2)], [1], [2]);
    expect(run([rolledBack], [2])).toMatchObject([{ version: { version: 2 }, keepPolicy: 'previous' }]);
  });

  it('does not retire a version that was just proved and gets its traffic in a moment', () => {
    expect(run([desired([version(1), version(2)], [1])], [2])).toMatchObject([{ version: { version: 2 }, keepPolicy: 'wanted' }]);
  });

  it('retires a newer version that had traffic before the change before', () => {
    const twiceBack = desired([version(1), version(2), version(3)], [1], [2]);
    expect(run([twiceBack], [3], { keepPolicy: 'previous' })).toMatchObject([{ version: { version: 3 }, keepPolicy: 'retired' }]);
    expect(run([twiceBack], [3], { keepPolicy: 'retired' })).toMatchObject([{ version: { version: 3 }, keepPolicy: 'retired' }]);
  });

  it('retires a version that failed the guard of its rollout, also where it had traffic before', () => {
    const aborted = desired([version(1), version(2)], [1], [2]);
    const times = { stageStartedAt: time, startedAt: time };
    const limits = startRolloutBody.parse({}).limits;
    aborted.function.rollout = { ...times, version: 2, stages: [], stage: 0, limits, state: 'aborted', from: [], previous: [] };
    expect(run([aborted], [2])).toMatchObject([{ version: { version: 2 }, keepPolicy: 'retired' }]);
    aborted.function.traffic = [{ version: 2, weight: 100 }];
    expect(run([aborted], [2])).toMatchObject([{ version: { version: 2 }, keepPolicy: 'wanted' }]);
  });

  it('keeps minInstances at home only, and only of versions with traffic', () => {
    const config = resolveConfig({ minInstances: 2 }, 'runner');
    const all = [desired([version(1, { config }), version(2, { config })], [2])];
    expect(run(all)).toMatchObject([{ kind: 'keep', version: { version: 2 }, minimum: 2 }]);
    expect(run(all, [], { home: false })).toEqual([]);
    const rolledBack = desired([version(1, { config }), version(2, { config })], [1], [2]);
    expect(run([rolledBack], [1, 2])).toMatchObject([{ minimum: 2 }, { minimum: 0, keepPolicy: 'previous' }]);
  });
});

describe('the version table', () => {
  it('looks once for what it does not know', async () => {
    let reads = 0;
    let all: Desired[] = [];
    const table = new VersionTable(async () => {
      reads++;
      return all;
    });
    all = [desired([version(1), version(2, { state: 'failed' })])];
    const found = await Promise.all([table.find('f', 1), table.find('f', 1)]);
    expect([found[0]?.version, reads]).toEqual([1, 1]);
    await expect(table.find('f', 2)).rejects.toMatchObject({ code: 'version_not_found' });
    await expect(table.find('g', 1)).rejects.toMatchObject({ code: 'function_not_found' });
  });

  it('goes by what it knows while the store is away, and admits that it knows nothing', async () => {
    let away = true;
    const table = new VersionTable(async () => {
      if (away) throw new KilnError('unavailable', 'away');
      return [desired([version(1)])];
    });
    await expect(table.find('f', 1)).rejects.toMatchObject({ code: 'unavailable' });
    away = false;
    await table.load();
    away = true;
    expect((await table.find('f', 1)).version).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 250));
    await expect(table.find('g', 1)).rejects.toMatchObject({ code: 'function_not_found' });
  });
});

describe('slots', () => {
  class Away extends Error {}
  function slots() {
    const fake = {
      away: false,
      others: 0,
      taking: ['other'],
      written: [] as number[],
      reserve: async (_name: string, _version: number, _node: string, max: number) => {
        if (fake.away) throw new Away();
        return fake.others + fake.held < max && ++fake.held > 0;
      },
      held: 0,
      release: async () => {
        if (fake.away) throw new Away();
        fake.held--;
      },
      rewrite: async (_node: string, counts: readonly { count: number }[]) => {
        if (fake.away) throw new Away();
        fake.written = counts.map(({ count }) => count);
      },
      counts: async () => {
        if (fake.away) throw new Away();
        return [{ me: fake.held, other: fake.others, dead: 7 }];
      },
    };
    return { fake, slots: new StoredSlots(fake, 'me', async (nodes) => nodes.some((node) => fake.taking.includes(node))) };
  }

  it('are the store’s to give', async () => {
    const { fake, slots: made } = slots();
    fake.others = 2;
    expect([await made.reserve(version(1)), await made.reserve(version(1))]).toEqual(['granted', 'elsewhere']);
    await made.sync(new Set(['me', 'other']));
    expect(fake.written).toEqual([1]);
    made.release(version(1));
    await made.sync(new Set());
    expect(fake.written).toEqual([]);
  });

  it('that no node holds that takes calls are waited for: they are free as soon as the dead one’s stop counting', async () => {
    const { fake, slots: made } = slots();
    fake.others = 2;
    fake.taking = [];
    await made.reserve(version(1));
    expect(await made.reserve(version(1))).toBe('passing');
    fake.others = 1;
    expect(await made.reserve(version(1))).toBe('granted');
  });

  it('go by the last known counts of the living while the store is away', async () => {
    const { fake, slots: made } = slots();
    const giveBack = (): void => made.release(version(1));
    fake.others = 1;
    expect(await made.reserve(version(1))).toBe('granted');
    await made.sync(new Set(['me', 'other']));
    fake.away = true;
    expect([await made.reserve(version(1)), await made.reserve(version(1))]).toEqual(['granted', 'elsewhere']);
    giveBack();
    expect(await made.reserve(version(1))).toBe('granted');
  });
});

describe('homes', () => {
  const node = (id: string, change: Partial<NodeRecord & { alive: boolean }> = {}) =>
    ({ id, weight: 1, alive: true, draining: false, ...change }) as NodeRecord & { alive: boolean };

  it('are those of the nodes that live and do not drain', () => {
    const homes = new Homes('me');
    expect(homes.isHome('f')).toBe(false);
    homes.update([node('me')]);
    expect(homes.isHome('f')).toBe(true);
    homes.update([node('me', { draining: true }), node('other')]);
    expect(homes.isHome('f')).toBe(false);
    homes.update([node('me'), node('other', { alive: false })]);
    expect(homes.isHome('f')).toBe(true);
  });
});
