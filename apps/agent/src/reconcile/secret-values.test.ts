import { randomBytes } from 'node:crypto';
import { resolveConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord, VersionRecord } from '@kiln/contract/records/records';
import type { SealedValue, SecretRevision } from '@kiln/contract/records/secrets';
import { Refusal } from '@kiln/instances/port/refusal';
import { type MasterKey, type MasterKeys, parseMasterKey } from '@kiln/secrets/master-key';
import { seal } from '@kiln/secrets/seal';
import { beforeEach, describe, expect, it } from 'vitest';
import { SecretValues } from './secret-values.js';
import type { Desired } from './version-table.js';

const newKey = () => parseMasterKey(randomBytes(32).toString('hex')) as MasterKey;
const own = newKey();
const keys: MasterKeys = { own, previous: undefined, source: 'KILN_MASTER_KEY' };

/** What the store would answer. */
const stored = new Map<string, SealedValue>();
let asked: SecretRevision[];
let away: boolean;
const store = {
  values: async (revisions: readonly SecretRevision[]) => {
    if (away) throw new KilnError('unavailable', 'the store does not answer');
    asked.push(...revisions);
    return revisions.map(({ name, revision }) => stored.get(`${name}@${revision}`));
  },
};

function keep(name: string, revision: number, value: string, key = own): void {
  stored.set(`${name}@${revision}`, seal(value, key, { name, revision }));
}

beforeEach(() => {
  stored.clear();
  asked = [];
  away = false;
  keep('A', 1, 'a1');
  keep('A', 2, 'a2');
  keep('B', 1, 'b1');
});

const now = new Date().toISOString();

function versionOf(version: number, secretRevisions?: Record<string, number>): VersionRecord {
  const config = resolveConfig({}, 'runner');
  const image = { image: 'x', digest: 'x', kind: 'runner' as const, provingNode: 'n' };
  return { function: 'f', version, ...image, config, state: 'ready', createdAt: now, ...(secretRevisions && { secretRevisions }) };
}

function desired(weights: Record<number, number>, versions: VersionRecord[]): Desired {
  const traffic = Object.entries(weights).map(([version, weight]) => ({ version: Number(version), weight }));
  const times = { createdAt: now, updatedAt: now };
  const record: FunctionRecord = {
    name: 'f',
    revision: 1,
    lastVersion: versions.length,
    traffic,
    previousTraffic: [],
    sticky: false,
    ...times,
  };
  return { function: record, versions };
}

describe('secrets for an instance', () => {
  const v1 = versionOf(1, { A: 1, B: 1 });
  const v2 = versionOf(2, { A: 2 });

  it('are those of the revisions that its version was made with', async () => {
    const secrets = new SecretValues(store, keys);
    expect(await secrets.of(v1)).toEqual({ A: 'a1', B: 'b1' });
    expect(await secrets.of(v2)).toEqual({ A: 'a2' });
  });

  it('are at hand while the store is away, for versions that have traffic', async () => {
    const secrets = new SecretValues(store, keys);
    await secrets.keep([desired({ 2: 100, 1: 0 }, [v1, v2])]);
    away = true;
    expect(await secrets.of(v2)).toEqual({ A: 'a2' });
    await expect(secrets.of(v1)).rejects.toBeInstanceOf(Refusal);
  });

  it('are waited for where no other node could have them, while the store is away', async () => {
    away = true;
    for (const alone of [true, false]) {
      const secrets = new SecretValues(store, keys, () => alone);
      await expect(secrets.of(v1)).rejects.toMatchObject({ code: 'no_capacity', passing: alone });
    }
  });

  it('are read once, and forgotten with the last version that serves with them', async () => {
    const secrets = new SecretValues(store, keys);
    await secrets.keep([desired({ 1: 50, 2: 50 }, [v1, v2])]);
    await secrets.keep([desired({ 1: 50, 2: 50 }, [v1, v2])]);
    expect(asked).toHaveLength(3);
    await secrets.keep([desired({ 2: 100 }, [v1, v2])]);
    away = true;
    await expect(secrets.of(v1)).rejects.toBeInstanceOf(Refusal);
  });

  it('stay what they were when they can not be read anew', async () => {
    const secrets = new SecretValues(store, keys);
    await secrets.keep([desired({ 2: 100 }, [v1, v2])]);
    away = true;
    await expect(secrets.keep([desired({ 1: 100 }, [v1, v2])])).rejects.toMatchObject({ code: 'unavailable' });
    expect(await secrets.of(v2)).toEqual({ A: 'a2' });
  });

  it('open with the key before while keys are changed', async () => {
    const young = newKey();
    keep('B', 1, 'b1', young);
    const secrets = new SecretValues(store, { own: young, previous: own, source: 'KILN_MASTER_KEY' });
    expect(await secrets.of(v1)).toEqual({ A: 'a1', B: 'b1' });
  });

  it.each([
    ['was removed', () => stored.delete('A@2'), /A \(revision 2\) is not stored any more/],
    [
      'is sealed with a key that is not here',
      () => keep('A', 2, 'x', newKey()),
      /A \(revision 2\) is sealed with the master key [0-9a-f]{12}/,
    ],
    ['is another revision’s', () => stored.set('A@2', stored.get('A@1') as SealedValue), /A \(revision 2\) was changed in the store/],
    ['is another secret’s', () => stored.set('A@2', stored.get('B@1') as SealedValue), /A \(revision 2\) was changed in the store/],
  ])('are refused with their name where one %s', async (_what, spoil, message) => {
    spoil();
    const failed = await new SecretValues(store, keys).of(v2).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'start_failed', message: expect.stringMatching(message) });
  });

  it('are refused on a node without a key', async () => {
    await expect(new SecretValues(store, undefined).of(v2)).rejects.toMatchObject({ code: 'start_failed' });
  });
});
