import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord } from '@kiln/contract/records/records';
import { expect, it } from 'vitest';
import { switchTraffic } from './switch-traffic.js';

const away = () => new KilnError('unavailable', 'the store is away');

/** A store that answers as told, and may take a write without saying so. */
function storeWith(fails: { write?: 'before' | 'after'; read?: boolean }) {
  let record = { name: 'f', revision: 1, traffic: [{ version: 1, weight: 100 }], previousTraffic: [] } as unknown as FunctionRecord;
  const store = {
    writes: 0,
    get: async () => {
      if (fails.read === true) throw away();
      return record;
    },
    setTraffic: async (_name: string, traffic: FunctionRecord['traffic']) => {
      store.writes++;
      const fail = store.writes === 1 ? fails.write : undefined;
      if (fail === 'before') throw away();
      record = { ...record, revision: record.revision + 1, traffic, previousTraffic: record.traffic };
      if (fail === 'after') throw away();
      return record;
    },
  };
  return store;
}

it('a deployment whose traffic has moved has not failed, although the store went away before it said so', async () => {
  const store = storeWith({ write: 'after' });
  expect(await switchTraffic(store, 'f', 2)).toMatchObject({
    traffic: [{ version: 2, weight: 100 }],
    previousTraffic: [{ version: 1, weight: 100 }],
  });
  expect(store.writes).toBe(1);
});

it('a write that the store did not take is made again', async () => {
  const store = storeWith({ write: 'before' });
  expect(await switchTraffic(store, 'f', 2)).toMatchObject({ traffic: [{ version: 2, weight: 100 }] });
  expect(store.writes).toBe(2);
});

it('where the store stays away it is said that nobody knows, within a bound', async () => {
  const store = storeWith({ read: true });
  await expect(switchTraffic(store, 'f', 2, 10)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('may have moved'),
  });
});
