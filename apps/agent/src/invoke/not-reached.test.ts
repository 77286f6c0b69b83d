import http from 'node:http';
import { DialIn } from '@kiln/instances/instance/dial-in';
import { TestPools } from '@kiln/instances/pool/pools.fixture';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NodeLifecycle } from '../node/lifecycle.js';
import { NodeListener } from './listen.js';

const SECRET = 'a-cluster-secret-for-tests';
const faults: unknown[] = [];
let test: TestPools;
let lifecycle: NodeLifecycle;
let listener: NodeListener;
let port: number;

beforeEach(async () => {
  test = new TestPools();
  const { pools } = test;
  const find = () => Promise.reject(new Error('every pool is there'));
  lifecycle = new NodeLifecycle();
  const onFault = (error: unknown) => faults.push(error);
  listener = new NodeListener({ host: '127.0.0.1', port: 0, secret: SECRET, pools, lifecycle, versions: { find }, onFault });
  ({ port } = await listener.listen());
});

afterEach(async () => {
  vi.restoreAllMocks();
  lifecycle.move('leaving');
  await listener.finish(0, new AbortController().signal);
  await listener.close();
  await test.stop();
  expect(faults.splice(0)).toEqual([]);
});

function call(headers: http.OutgoingHttpHeaders = {}, body = 'once'): Promise<{ status: number; headers: http.IncomingHttpHeaders }> {
  const ours = { 'x-kiln-secret': SECRET, 'x-kiln-function': 'f', 'x-kiln-version': '1', 'x-request-id': 'r' };
  return new Promise((resolve, reject) => {
    const request = http.request({ port, method: 'POST', agent: false, headers: { ...ours, ...headers } }, (response) => {
      response.resume().on('end', () => resolve({ status: response.statusCode!, headers: response.headers }));
    });
    request.on('error', reject).on('upgrade', () => reject(new Error('switched')));
    request.end(headers['upgrade'] === undefined ? body : undefined);
  });
}

describe('requests of which no byte reached their instance', () => {
  it('run in another one when theirs crashes; only those that it had begun fail', async () => {
    const pool = test.pool({ concurrency: 100, queue: 200 });
    let begun = 0;
    let crash: () => void = () => undefined;
    test.driver.dials = 3;
    test.driver.answer = (request) => {
      request.resume();
      if (++begun === 3) crash();
    };
    crash = () => {
      test.driver.answer = (_request, response) => response.end('fake');
      test.driver.dials = undefined;
      const [container] = test.driver.running;
      void vi.waitFor(() => expect([...pool.instances][0]?.leases.size).toBe(60)).then(() => container!.die(1));
    };
    const statuses = (await Promise.all(Array.from({ length: 60 }, () => call()))).map(({ status }) => status);
    expect(statuses.filter((status) => status === 502)).toHaveLength(3);
    expect(statuses.filter((status) => status === 200)).toHaveLength(57);
  });

  it.each([
    ['a request', {}],
    ['a handshake', { connection: 'upgrade', upgrade: 'websocket' }],
  ])('are refused as not executed after three instances (%s)', async (_what, headers) => {
    test.pool();
    for (const take of ['take', 'takeSocket'] as const)
      vi.spyOn(DialIn.prototype, take).mockRejectedValue(new Error('it opened no connection'));
    const answer = await call(headers);
    expect([answer.status, answer.headers['x-kiln-error'], answer.headers['x-kiln-not-executed']]).toEqual([503, 'no_capacity', '1']);
    expect(test.driver.started).toBe(3);
  });

  it('cost their instance nothing where this machine has run out of descriptors', async () => {
    test.pool();
    const full = Object.assign(new Error('connect EMFILE'), { code: 'EMFILE' });
    vi.spyOn(DialIn.prototype, 'take').mockRejectedValueOnce(full);
    const answer = await call();
    expect([answer.status, answer.headers['x-kiln-not-executed']]).toEqual([503, '1']);
    expect((await call()).status).toBe(200);
    expect(test.driver.started).toBe(1);
  });
});
