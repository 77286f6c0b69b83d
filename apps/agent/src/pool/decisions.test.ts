import { KilnError } from '@kiln/contract/errors';
import { describe, expect, it } from 'vitest';
import { Capacity } from './capacity.js';
import { type Candidate, chooseVictims } from './choose-victims.js';
import { crashed } from './exit.js';
import { Gate } from './gate.js';
import { Census, InstanceLife } from './instance-state.js';
import { type Demand, instancesToStart } from './need-instance.js';
import { StartBackoff } from './start-backoff.js';

describe('the states of an instance', () => {
  it('are counted by the moves alone', () => {
    const [pool, node] = [new Census(), new Census()];
    const life = new InstanceLife([pool, node]);
    expect([pool.coming, pool.existing]).toEqual([1, 1]);
    for (const to of ['starting', 'idle', 'busy', 'idle'] as const) life.transition(to);
    expect([pool.serving, pool.coming, pool.now.idle, node.now.idle]).toEqual([1, 0, 1, 1]);
    for (const to of ['stopping', 'removed'] as const) life.transition(to);
    expect([pool.existing, pool.ever.removed, pool.ever.idle]).toEqual([0, 1, 2]);
  });

  it.each([
    ['idle', ['starting', 'idle'], 'draining'],
    ['removed', ['starting', 'idle', 'stopping', 'removed'], 'idle'],
    ['draining', ['starting', 'idle', 'busy', 'draining'], 'busy'],
    ['failed', ['starting', 'failed'], 'idle'],
  ] as const)('never go from %s to what the table does not have', (_from, way, to) => {
    const life = new InstanceLife([]);
    for (const step of way) life.transition(step);
    expect(() => life.transition(to)).toThrowError(/cannot go/);
  });
});

describe('instances to start', () => {
  const calm: Demand = {
    waiting: 0,
    coming: 0,
    existing: 0,
    serving: 0,
    concurrency: 1,
    maxInstances: 100,
    minInstances: 0,
    failing: false,
  };
  it.each<[string, Partial<Demand>, number]>([
    ['none when nobody waits', {}, 0],
    ['one for one', { waiting: 1 }, 1],
    ['as many as wait', { waiting: 5 }, 5],
    ['one for as many as share it', { waiting: 50, concurrency: 50 }, 1],
    ['one more for one more than share it', { waiting: 51, concurrency: 50 }, 2],
    ['none where enough are coming', { waiting: 20, concurrency: 10, coming: 2, existing: 2 }, 0],
    ['no more than may exist', { waiting: 50, maxInstances: 5 }, 5],
    ['none where as many exist, the leaving ones counted', { waiting: 3, maxInstances: 5, existing: 5, serving: 1 }, 0],
    ['up to the minimum though nobody waits', { minInstances: 3, serving: 1, existing: 1 }, 2],
    ['one at a time after a failure', { waiting: 10, failing: true }, 1],
    ['none after a failure while one is tried', { waiting: 10, failing: true, coming: 1, existing: 1 }, 0],
  ])('%s', (_what, change, expected) => {
    expect(instancesToStart({ ...calm, ...change })).toBe(expected);
  });
});

describe('victims', () => {
  const idle = (id: string, memory: number, idleSince: number, wanted = true): Candidate => ({ id, memory, cpu: 1, idleSince, wanted });
  const names = (missing: number, candidates: Candidate[]) => chooseVictims({ memory: missing, cpu: 0 }, candidates).map(({ id }) => id);

  it('are those unused longest', () => {
    expect(names(200, [idle('new', 200, 30), idle('old', 200, 10), idle('middle', 200, 20)])).toEqual(['old']);
  });

  it('are those of versions without traffic before all others', () => {
    expect(names(200, [idle('old', 200, 10), idle('before', 200, 30, false)])).toEqual(['before']);
    expect(names(400, [idle('old', 200, 10), idle('new', 200, 20), idle('before', 200, 30, false)])).toEqual(['before', 'old']);
  });

  it('are none where all of them would not be enough', () => {
    expect(names(500, [idle('a', 200, 1), idle('b', 200, 2)])).toEqual([]);
  });

  it('spare one that turns out not to be needed', () => {
    expect(names(300, [idle('small', 50, 1), idle('large', 300, 2)])).toEqual(['large']);
  });

  it('make room for cpu too', () => {
    expect(chooseVictims({ memory: 0, cpu: 2 }, [idle('a', 1, 1), idle('b', 1, 2), idle('c', 1, 3)]).map(({ id }) => id)).toEqual([
      'a',
      'b',
    ]);
  });
});

describe('capacity', () => {
  it('never promises more than there is, and takes a promise back once', () => {
    const capacity = new Capacity({ memory: 100, cpu: 1 });
    const held = capacity.reserve({ memory: 60, cpu: 0.1 });
    expect(capacity.reserve({ memory: 60, cpu: 0.1 })).toBeUndefined();
    held?.release();
    held?.release();
    expect(capacity.memoryPromised).toBe(0);
    expect(capacity.missing({ memory: 130, cpu: 0.5 })).toEqual({ memory: 30, cpu: 0 });
  });

  it('counts fractions of cores exactly', () => {
    const capacity = new Capacity({ memory: 100, cpu: 1 });
    for (let i = 0; i < 10; i++) expect(capacity.reserve({ memory: 1, cpu: 0.1 })).toBeDefined();
    expect(capacity.reserve({ memory: 1, cpu: 0.01 })).toBeUndefined();
  });

  it('wakes who waits for a release, and lets nobody wait for ever', async () => {
    const capacity = new Capacity({ memory: 100, cpu: 1 });
    const held = capacity.reserve({ memory: 100, cpu: 1 });
    const woken = capacity.released(60_000);
    held?.release();
    await woken;
    await capacity.released(1);
  });
});

describe('the gate', () => {
  it('lets so many through, the others in order', async () => {
    const gate = new Gate(2);
    const order: number[] = [];
    const enter = async (i: number) => {
      const leave = await gate.enter();
      order.push(i);
      return leave;
    };
    const [first, second, ...rest] = [0, 1, 2, 3].map(enter);
    await Promise.all([first, second]);
    expect(order).toEqual([0, 1]);
    const leave = (await first) as () => void;
    for (let i = 0; i < 2; i++) leave();
    await rest[0];
    expect(order).toEqual([0, 1, 2]);
    (await second!)();
    await rest[1];
    expect(order).toEqual([0, 1, 2, 3]);
  });
});

describe('back-off', () => {
  const failure = new KilnError('start_failed', 'no');
  it('doubles from 1 s to 60 s and is over with the first success', () => {
    let now = 0;
    const backoff = new StartBackoff(() => now);
    const pauses: number[] = [];
    for (let i = 0; i < 8; i++) {
      backoff.failed(failure);
      expect(backoff.refusal).toBe(failure);
      pauses.push(backoff.remaining);
      now += backoff.remaining;
      expect(backoff.refusal).toBeUndefined();
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    expect(backoff.failing).toBe(true);
    backoff.succeeded();
    expect([backoff.failing, backoff.remaining]).toEqual([false, 0]);
  });

  it('takes starts that fail side by side as one failure', () => {
    const backoff = new StartBackoff(() => 0);
    for (let i = 0; i < 5; i++) backoff.failed(failure);
    expect(backoff.remaining).toBe(1000);
  });
});

describe('an exit', () => {
  it.each([
    [{ code: 137, outOfMemory: true }, [], true],
    [{ code: 134, outOfMemory: false }, ['FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory'], true],
    [{ code: 139, outOfMemory: false }, ['JavaScript heap out of memory'], true],
    [{ code: 137, outOfMemory: false }, [], false],
    [{ code: 0, outOfMemory: true }, [], false],
    [{ code: 3, outOfMemory: false }, ['heap out of memory'], false],
  ])('%j with %j is out of memory: %s', (exit, lines, expected) => {
    expect(/out of memory/.test(crashed(exit, lines, 128).message)).toBe(expected);
  });
});
