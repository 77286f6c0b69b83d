import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import { beforeAll, describe, expect, it } from 'vitest';
import { draft } from '../state.fixture.js';
import { store, withStore } from '../with-store.fixture.js';
import { FunctionStore } from './function-store.js';
import { versionsToRemove } from './retention.js';

let functions: FunctionStore;

withStore();
beforeAll(() => {
  functions = new FunctionStore(store);
});

async function deployed(name: string, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const { version } = await functions.createVersion(name, draft);
    await functions.markReady(name, version);
  }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const left = async (name: string) => (await functions.versions(name)).map(({ version }) => version);
const all = (version: number) => [{ version, weight: 100 }];

describe('old versions', () => {
  it('go when there are more than 20, and their numbers are not given again', async () => {
    await deployed('plain', 25);
    expect(await left('plain')).toEqual(numbers(6, 25));
    expect(await functions.get('plain')).toMatchObject({ lastVersion: 25 });
    await expect(functions.setTraffic('plain', all(5))).rejects.toMatchObject({ code: 'version_not_found' });
  });

  it('stay where they have traffic, where a rollback returns to them, and where they are pinned', async () => {
    await deployed('needed', 5);
    await functions.setTraffic('needed', all(1));
    await functions.setTraffic('needed', [
      { version: 2, weight: 99 },
      { version: 3, weight: 1 },
    ]);
    expect(await functions.pin('needed', 4, true)).toMatchObject({ version: 4, pinned: true });
    await deployed('needed', 30);
    expect(await left('needed')).toEqual([1, 2, 3, 4, ...numbers(16, 35)]);
    expect(await functions.pin('needed', 4, false)).not.toHaveProperty('pinned');
    await functions.setTraffic('needed', all(35));
    await deployed('needed', 1);
    expect(await left('needed')).toEqual([2, 3, ...numbers(17, 36)]);
    await expect(functions.pin('needed', 4, true)).rejects.toBeInstanceOf(KilnError);
  });

  it('stay where a rollout may return to them', async () => {
    await deployed('rolled', 3);
    await functions.setTraffic('rolled', all(1));
    const time = new Date().toISOString();
    await functions.stepRollout('rolled', (before) => ({
      traffic: [
        { version: 1, weight: 50 },
        { version: 3, weight: 50 },
      ],
      previousTraffic: before.traffic,
      rollout: {
        ...{ version: 3, stages: [{ weight: 50, forMs: 1000 }], stage: 0, stageStartedAt: time, startedAt: time, state: 'running' },
        ...{ limits: { maxErrors: 2, maxP95: 1.5, minRequests: 50 }, from: all(1), previous: all(2) },
      },
    }));
    await deployed('rolled', 22);
    expect(await left('rolled')).toEqual([1, 2, 3, ...numbers(6, 25)]);
  });

  it('that were good are not pushed out by failed ones', async () => {
    await deployed('broken', 3);
    for (let i = 0; i < 30; i += 1) {
      const { version } = await functions.createVersion('broken', draft);
      await functions.markFailed('broken', version, { code: 'start_failed', detail: 'boom' });
    }
    expect(await left('broken')).toEqual([1, 2, 3, ...numbers(14, 33)]);
  });

  it('are never taken from under the traffic, however many deploy and move it at once', async () => {
    await deployed('busy', 19);
    await functions.setTraffic('busy', all(19));
    let moves = 0;
    const move = async () => {
      for (let i = 0; i < 40; i += 1) {
        const oldest = (await functions.versions('busy')).filter(({ state }) => state === 'ready').at(0) as VersionRecord;
        const moved = await functions.setTraffic('busy', all(oldest.version)).then(
          () => true,
          () => false,
        );
        if (moved) moves += 1;
        const { traffic } = (await functions.get('busy')) ?? { traffic: [] };
        expect(await left('busy')).toContain(traffic[0]?.version);
      }
    };
    await Promise.all([move(), deployed('busy', 40), deployed('busy', 40)]);
    expect(moves).toBeGreaterThan(0);
    expect((await left('busy')).length).toBeLessThanOrEqual(23);
  });

  it('that are pinned while they are about to go stay', async () => {
    await deployed('raced', 20);
    await Promise.all([functions.pin('raced', 1, true).catch(() => undefined), deployed('raced', 3)]);
    const versions = await functions.versions('raced');
    expect(versions.find(({ version }) => version === 1)?.pinned ?? 'gone').toSatisfy((what) => what === true || what === 'gone');
    expect(versions.map(({ version }) => version)).toEqual(expect.arrayContaining(numbers(4, 23)));
  });

  it('that wait to be proved stay', () => {
    const pending = numbers(1, 30).map(
      (version) => ({ ...draft, function: 'f', version, state: 'pending', createdAt: '' }) as VersionRecord,
    );
    const record = {
      name: 'f',
      revision: 1,
      lastVersion: 30,
      traffic: [],
      previousTraffic: [],
      sticky: false,
      createdAt: '',
      updatedAt: '',
    };
    expect(versionsToRemove(record, pending)).toEqual([]);
  });
});
