import { describe, expect, it, vi } from 'vitest';
import { codeOf, instanceOf, sleepCode, TestNode } from '../node.fixture.js';
import { image, node, withEvaluatingNode } from './with-evaluating-node.fixture.js';

withEvaluatingNode();

/** A machine that runs other things beside may be late by this. */
const LATE_MS = 250;

describe('a timeout', () => {
  it.each([['await new Promise(() => {})'], ['for (;;) {}']])('of "%s" is a 504, and the container is gone', async (code) => {
    node.add('late', image, { timeout: 700 });
    const before = await node.call('late');
    const answer = await node.call('late', { body: code });
    expect([answer.status, codeOf(answer)]).toEqual([504, 'function_timeout']);
    expect(answer.ms - 700).toBeLessThan(LATE_MS);
    await vi.waitFor(async () => {
      expect((await node.containers('late')).filter(({ Labels }) => Labels['kiln.instance'] === instanceOf(before))).toEqual([]);
    }, 5000);
    const next = await node.call('late');
    expect(next.status).toBe(200);
    expect(instanceOf(next)).not.toBe(instanceOf(before));
  });

  it('lets others in the instance finish and no new one in', async () => {
    node.add('shared', image, { timeout: 800, concurrency: 10, maxInstances: 1 });
    const id = instanceOf(await node.call('shared'));
    const stuck = node.call('shared', { body: 'await new Promise(() => {})' });
    await new Promise((resolve) => setTimeout(resolve, 400));
    const other = node.call('shared', { body: sleepCode(700) });
    expect((await stuck).status).toBe(504);
    const after = node.call('shared');
    const finished = await other;
    expect([finished.status, instanceOf(finished)]).toEqual([200, id]);
    const fresh = await after;
    expect(fresh.status).toBe(200);
    expect(instanceOf(fresh)).not.toBe(id);
  });

  it('after the answer began cuts the connection', async () => {
    node.add('cut', image, { timeout: 500 });
    await expect(node.call('cut', { body: 'response.write("begun"); await new Promise(() => {})' })).rejects.toThrow(
      /aborted|reset|hang up/,
    );
  });
});

describe('an idle instance', () => {
  it('is gone within 2 s of its idle time, counted from the end of its last request', async () => {
    node.add('idle', image, { idleTimeout: 600 });
    const longer = await node.call('idle', { body: sleepCode(1500) });
    expect(longer.status).toBe(200);
    const ended = performance.now();
    await vi.waitFor(async () => expect(await node.containers('idle')).toEqual([]), { timeout: 4000, interval: 20 });
    const gone = performance.now() - ended;
    expect(gone).toBeGreaterThan(550);
    expect(gone).toBeLessThan(2600);
  });

  it('makes room for another function when memory is short, the one unused longest first', async () => {
    const small = await TestNode.start({ memory: 600 });
    try {
      for (const name of ['a', 'b', 'c', 'd']) small.add(name, image, { memory: 200 });
      for (const name of ['a', 'b', 'c', 'a']) expect((await small.call(name)).status).toBe(200);
      expect((await small.call('d')).status).toBe(200);
      const left = (await small.containers()).map(({ Labels }) => Labels['kiln.function']).sort();
      expect(left).toEqual(['a', 'c', 'd']);
      small.add('large', image, { memory: 500 });
      const busy = small.call('a', { body: sleepCode(1500) });
      await vi.waitFor(() => expect(small.parts.pools.find('a', 1)?.census.now.busy).toBe(1), 10_000);
      const large = small.call('large');
      await vi.waitFor(() => expect(small.parts.pools.room.waiting).toBe(1), 10_000);
      // Nobody loses a warm instance for a start that can't happen yet.
      expect((await small.containers()).length).toBe(3);
      expect((await busy).status).toBe(200);
      expect((await large).status).toBe(200);
    } finally {
      await small.stop();
    }
  });
});
