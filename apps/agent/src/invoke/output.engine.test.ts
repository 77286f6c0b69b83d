import { describe, expect, it, vi } from 'vitest';
import { codeOf } from '../node.fixture.js';
import { image, node, times, withEvaluatingNode } from './with-evaluating-node.fixture.js';

withEvaluatingNode();

describe('what a function writes', () => {
  it('becomes log lines of its request', async () => {
    node.add('writes', image);
    await node.call('writes', {
      requestId: 'req-7',
      body: 'console.log("plain"); console.error("bad"); process.stdout.write(JSON.stringify({ kiln: 1, level: "warn", requestId: "other", message: "told" }).replace("{", "{") + "\\n")',
    });
    await vi.waitFor(() => expect(node.logs.filter((record) => record.function === 'writes')).toHaveLength(3), 10_000);
    const seen = node.logs
      .filter((record) => record.function === 'writes')
      .map(({ level, message, requestId }) => ({ level, message, requestId }));
    expect(seen).toContainEqual({ level: 'info', message: 'plain', requestId: 'req-7' });
    expect(seen).toContainEqual({ level: 'error', message: 'bad', requestId: 'req-7' });
    expect(seen).toContainEqual({ level: 'warn', message: 'told', requestId: 'other' });
  });

  it('that is longer than a line may be keeps its level, its request and its beginning; so does what comes after it', async () => {
    node.add('long', image);
    await node.call('long', {
      requestId: 'req-8',
      body: `const say = (level, message) => process.stdout.write(JSON.stringify({ kiln: 1, level, requestId: 'req-8', message }) + '\\n');
        say('info', 'begins'); say('error', 'order failed ' + JSON.stringify({ code: 'E_STOCK', all: '"x'.repeat(10_000) })); say('warn', 'ends');`,
    });
    const seen = () => node.logs.filter((record) => record.function === 'long');
    await vi.waitFor(() => expect(seen()).toHaveLength(3), 10_000);
    expect(seen().map(({ level, requestId }) => [level, requestId])).toEqual([
      ['info', 'req-8'],
      ['error', 'req-8'],
      ['warn', 'req-8'],
    ]);
    const [begins, long, ends] = seen().map(({ message }) => message);
    expect([begins, ends]).toEqual(['begins', 'ends']);
    expect(long).toMatch(/^order failed \{"code":"E_STOCK".*line cut after 16 KiB\)$/s);
    expect(long!.length).toBeGreaterThan(4000);
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
