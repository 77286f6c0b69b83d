import { once } from 'node:events';
import type http from 'node:http';
import { until } from '@kiln/testing/until';
import { describe, expect, it } from 'vitest';
import { instanceOf, sleepCode } from '../node.fixture.js';
import { image, node, withEvaluatingNode } from './with-evaluating-node.fixture.js';

withEvaluatingNode();

/** More than the buffers between a function and its caller take. */
const LARGE = 'response.end(Buffer.alloc(32 * 1024 * 1024, "x")); return 1;';

/** Asks for a large answer and reads none of it. Resolves when its head came. */
async function slowReader(name: string): Promise<{ request: http.ClientRequest; ended: Promise<unknown> }> {
  const request = node.request(name, { method: 'POST', headers: { 'content-length': LARGE.length } });
  request.on('error', () => undefined);
  request.end(LARGE);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.on('error', () => undefined);
  // What was cut off is seen once it is read.
  const ended = new Promise((resolve) => response.once('close', resolve));
  setTimeout(() => response.resume(), 2500);
  return { request, ended };
}

describe('a caller that does not read its answer', () => {
  it('costs neither its instance nor the others in it anything', async () => {
    node.add('read-slowly', image, { timeout: 1500, concurrency: 5, maxInstances: 1, memory: 256 });
    const before = instanceOf(await node.call('read-slowly'));
    const slow = await Promise.all([1, 2, 3].map(() => slowReader('read-slowly')));
    for (let i = 0; i < 3; i++) expect((await node.call('read-slowly')).ms).toBeLessThan(1000);
    const other = node.call('read-slowly', { body: sleepCode(1200) });
    await Promise.all(slow.map(({ ended }) => ended));
    expect((await other).text).toBe('"slept"');
    await until('their places are free', () => node.parts.pools.find('read-slowly', 1)?.census.now.idle === 1);
    expect(instanceOf(await node.call('read-slowly'))).toBe(before);
  });

  it('is cut off at the timeout, and the instance that has written its answer runs the next request', async () => {
    node.add('read-alone', image, { timeout: 1500, maxInstances: 1, memory: 256 });
    const before = instanceOf(await node.call('read-alone'));
    const { ended } = await slowReader('read-alone');
    const next = await node.call('read-alone');
    expect([next.status, instanceOf(next)]).toEqual([200, before]);
    await ended;
  });

  it('saves no function that is at work past its timeout', async () => {
    node.add('writes-on', image, { timeout: 1000, maxInstances: 1, memory: 256 });
    const before = instanceOf(await node.call('writes-on'));
    const code = 'for (;;) if (!response.write(Buffer.alloc(65536))) await new Promise((r) => response.once("drain", r));';
    const request = node.request('writes-on', { method: 'POST', headers: { 'content-length': code.length } });
    request.on('error', () => undefined).on('response', (response) => response.on('error', () => undefined));
    request.end(code);
    await once(request, 'response');
    const next = await node.call('writes-on');
    expect(next.status).toBe(200);
    expect(instanceOf(next)).not.toBe(before);
    request.destroy();
  });
});
