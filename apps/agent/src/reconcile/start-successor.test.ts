import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import { many, TestPools } from '@kiln/instances/pool/pools.fixture';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startSuccessor } from './start-successor.js';

let test: TestPools;

beforeEach(() => {
  test = new TestPools();
});
afterEach(() => test.stop());

const successor = { name: 'f', version: 2, serving: [1] };

/** The version table of a node that knows one version. */
const knows = (next: VersionRecord) => ({ find: async () => next });

describe('before the traffic of others moves to a version', () => {
  it('the node has as many of its instances as work there now', async () => {
    const before = test.pool();
    const leases = await many(5, before);
    leases[0]?.release();
    const next = test.pool({}, 'serves', 'f', 2);
    const made = await startSuccessor(test.pools, knows(next.version as VersionRecord), successor);
    expect([made, next.census.now.idle]).toEqual([{ wanted: 5, ready: 5 }, 5]);
    for (const lease of leases.slice(1)) lease.release();
  });

  it('there are no more of them than maxInstances', async () => {
    const leases = await many(5, test.pool());
    const next = test.pool({ maxInstances: 2 }, 'serves', 'f', 2);
    expect(await startSuccessor(test.pools, knows(next.version as VersionRecord), successor)).toEqual({ wanted: 2, ready: 2 });
    for (const lease of leases) lease.release();
  });

  it('a node where the others do not run starts nothing, and need not know the version', async () => {
    const unknown = { find: () => Promise.reject(new KilnError('version_not_found', 'not known here')) };
    expect(await startSuccessor(test.pools, unknown, successor)).toEqual({ wanted: 0, ready: 0 });
    expect(test.driver.started).toBe(0);
  });
});
