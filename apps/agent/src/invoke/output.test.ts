import { buildRunnerImage } from '@kiln/testing/test-image';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { codeOf, EVALUATE, TestNode } from '../node.fixture.js';

let node: TestNode;
let image: string;
const images: { id: string; remove(): Promise<void> }[] = [];

beforeAll(async () => {
  images.push(await buildRunnerImage(EVALUATE));
  image = images[0]!.id;
  node = await TestNode.start({ memory: 8192 });
});
afterAll(async () => {
  await node?.stop();
  for (const made of images) await made.remove();
});

const times = <T>(count: number, action: (i: number) => Promise<T>) => Promise.all(Array.from({ length: count }, (_, i) => action(i)));

describe('what a function writes', () => {
  it('becomes log lines of its request', async () => {
    node.add('writes', image);
    await node.call('writes', {
      requestId: 'req-7',
      body: 'console.log("plain"); console.error("bad"); process.stdout.write(JSON.stringify({ kiln: 1, level: "warn", requestId: "other", message: "told" }).replace("{", "{") + "\\n")',
    });
    await vi.waitFor(() => expect(node.logs.filter((record) => record.function === 'writes')).toHaveLength(3));
    const seen = node.logs
      .filter((record) => record.function === 'writes')
      .map(({ level, message, requestId }) => ({ level, message, requestId }));
    expect(seen).toContainEqual({ level: 'info', message: 'plain', requestId: 'req-7' });
    expect(seen).toContainEqual({ level: 'error', message: 'bad', requestId: 'req-7' });
    expect(seen).toContainEqual({ level: 'warn', message: 'told', requestId: 'other' });
  });

  it('without end is bounded, said so, and does not hold up the node', async () => {
    node.add('floods', image, { timeout: 4000 });
    node.add('calm', image);
    await node.call('calm');
    const flood = node.call('floods', {
      body: 'const line = "x".repeat(99) + "\\n"; for (;;) if (!process.stdout.write(line.repeat(500))) await new Promise((r) => process.stdout.once("drain", r))',
    });
    await vi.waitFor(() => expect(node.logs.some(({ message }) => /log lines dropped/.test(message))).toBe(true), 5000);
    const calm = await times(20, () => node.call('calm'));
    expect(calm.every(({ status }) => status === 200)).toBe(true);
    const flooded = await flood;
    expect([flooded.status, codeOf(flooded)], flooded.text).toEqual([504, 'function_timeout']);
    expect(node.logs.filter((record) => record.function === 'floods').length).toBeLessThan(6000);
  });
});
