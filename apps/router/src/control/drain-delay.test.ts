import { call } from '@kiln/testing/call';
import { afterEach, expect, it } from 'vitest';
import { problemOf, TestCluster } from './cluster.fixture.js';

let cluster: TestCluster | undefined;
afterEach(() => cluster?.stop());

it('a router that stops says so to load balancers, and serves new connections until they have had time to see it', async () => {
  cluster = await TestCluster.start({ drainDelay: 1500 });
  const { dataPort, controlPort } = cluster;
  const began = performance.now();
  let over = false;
  const stopped = cluster.router.stop().then(() => {
    over = true;
  });
  await expect.poll(async () => (await call(dataPort, '/readyz')).status).toBe(503);
  while (performance.now() - began < 1200) {
    expect(problemOf(await call(dataPort, '/fn/nobody/'))).toEqual([404, 'function_not_found']);
    expect((await call(dataPort, '/readyz')).status).toBe(503);
    expect((await call(controlPort, '/readyz')).status).toBe(503);
  }
  expect(over).toBe(false);
  await stopped;
  await expect(call(dataPort, '/fn/nobody/')).rejects.toThrow('ECONNREFUSED');
});
