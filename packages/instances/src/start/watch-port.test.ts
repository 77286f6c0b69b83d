import { describe, expect, it } from 'vitest';
import type { Instance } from '../instance/instance.js';
import type { Activity, Listener } from '../port/container-driver.js';
import { misplaced, watchPort } from './watch-port.js';

const open = (port: number): Listener => ({ port, isLoopback: false });
const inside = (port: number): Listener => ({ port, isLoopback: true });

describe('where a program listens', () => {
  it('is in order where its port is open, or nothing is yet', () => {
    expect(misplaced([], 8080)).toBeUndefined();
    expect(misplaced([open(9090), open(8080)], 8080)).toBeUndefined();
    expect(misplaced([inside(8080), open(8080)], 8080)).toBeUndefined();
  });

  it('is told with the line to write where it is another port', () => {
    const found = misplaced([open(3000), open(3000)], 8080);
    expect(found?.why).toBe('it listens on 3000, not on 8080');
    expect(found?.fix).toMatch(/^set "port": 3000 in kiln\.json, or /);
    expect(misplaced([open(3000), open(9090)], 8080)?.why).toBe('it listens on 3000 and 9090, not on 8080');
  });

  it('is told where nobody outside can reach it', () => {
    expect(misplaced([inside(8080), open(9090)], 8080)).toMatchObject({
      why: expect.stringMatching(/127\.0\.0\.1:8080 only/),
      fix: 'listen on 0.0.0.0',
    });
    expect(misplaced([inside(3000)], 8080)?.fix).toMatch(/^listen on 0\.0\.0\.0; and set "port": 3000/);
  });

  it('is not a debugger’s port, nor one that the kernel gave away', () => {
    expect(misplaced([inside(9229), inside(40_123)], 8080)).toBeUndefined();
  });
});

/** @param at what it does in each second of its start; the last goes on */
async function watched(at: Activity[], forMs: number, startTimeout: number) {
  let looks = 0;
  const container = { activity: async () => at[Math.min(looks++, at.length - 1)] };
  const version = { config: { port: 8080, cpu: 1, startTimeout } };
  const instance = { container, version, log: { lastLines: ['here'] } } as unknown as Instance;
  const began = performance.now();
  const failure = await watchPort(instance, AbortSignal.timeout(forMs), 50).catch((error: Error) => error);
  return { failure, looks, ms: performance.now() - began };
}

describe('a program that starts', () => {
  it('and stays in the wrong place is told so', async () => {
    const { failure, ms } = await watched([{ listeners: [open(3000)], cpuMs: 100 }], 5000, 900);
    expect(failure).toMatchObject({ code: 'start_failed', message: expect.stringMatching(/listens on 3000.*\nhere$/) });
    expect(ms).toBeGreaterThan(150);
  });

  it('and opens another port first is let go on', async () => {
    const first = { listeners: [open(9090)], cpuMs: 100 };
    const both = { listeners: [open(9090), open(8080)], cpuMs: 120 };
    const { failure, looks } = await watched([first, first, first, both], 1000, 6000);
    expect(failure).toMatchObject({ name: 'AbortError' });
    expect(looks).toBeGreaterThan(3);
  });

  it('and works behind another port is let go on', async () => {
    const working = Array.from({ length: 20 }, (_, i) => ({ listeners: [open(9090)], cpuMs: 500 * i }));
    expect((await watched(working, 500, 900)).failure).toMatchObject({ name: 'AbortError' });
  });
});
