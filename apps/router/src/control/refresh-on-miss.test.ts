import { resolveConfig } from '@kiln/contract/config/function-config';
import { FunctionStore } from '@kiln/state/functions/function-store';
import { call as callDoor } from '@kiln/testing/call';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Catalog } from '../view/catalog.js';
import { RouteTable } from '../view/route-table.js';
import { TestCluster } from './cluster.fixture.js';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.stop());

const draft = { image: 'img', digest: 'sha256:a', kind: 'http', config: resolveConfig({}, 'http'), provingNode: 'node-1' } as const;

class CountingStore extends FunctionStore {
  reads = 0;

  override listAll() {
    this.reads += 1;
    return super.listAll();
  }
}

describe('a request for what another router deployed a moment ago', () => {
  const call = async (path: string) => {
    const { status, headers } = await callDoor(cluster.dataPort, path);
    return [status, headers['x-kiln-error']];
  };

  it('is not refused as unknown, although no event has come; what is nowhere still is', async () => {
    const { functions } = cluster;
    const made = async () => {
      const { version } = await functions.createVersion('elsewhere', draft);
      await functions.markReady('elsewhere', version);
      return version;
    };
    expect(await call('/fn/elsewhere/')).toEqual([404, 'function_not_found']);
    await functions.setTraffic('elsewhere', [{ version: await made(), weight: 100 }]);
    // The stand-in node has no such path: its answer shows that the request got as far as that.
    expect(await call('/fn/elsewhere/')).toEqual([404, undefined]);
    expect(await call(`/fn/elsewhere@${await made()}/`)).toEqual([404, undefined]);
    expect(await call('/fn/elsewhere@9/')).toEqual([404, 'version_not_found']);
  });

  it('does not make a flood of unknown names a flood of reads', async () => {
    const store = new CountingStore(cluster.store);
    const catalog = new Catalog(store, new RouteTable());
    await Promise.all(Array.from({ length: 500 }, () => catalog.refreshOnMiss()));
    expect(store.reads).toBe(2);
    const began = performance.now();
    for (let i = 0; i < 5; i += 1) await catalog.refreshOnMiss();
    expect(performance.now() - began).toBeGreaterThan(200);
  });

  it('waits for a store that is away no longer than for one command', async () => {
    await cluster.redis.stop();
    expect(await call('/fn/nobody/')).toEqual([404, 'function_not_found']);
  });
});
