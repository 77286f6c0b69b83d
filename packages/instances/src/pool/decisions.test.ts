import { KilnError } from '@kiln/contract/errors';
import { describe, expect, it } from 'vitest';
import { Census, InstanceLife } from '../instance/instance.js';
import { crashed } from '../port/exit.js';
import { Capacity } from '../room/capacity.js';
import { type Candidate, chooseVictims } from '../room/choose-victims.js';
import { Cores } from '../room/cores.js';
import { Gate } from '../room/gate.js';
import { StartBackoff } from '../start/start-backoff.js';
import { type Demand, instancesMissing, instancesToStart, startsToDrop } from './instances-to-start.js';
import { Trial } from './trial.js';

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
    startsAtOnce: 100,
    failing: false,
    trial: false,
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
    ['no more at once than the engine works at, while none has become ready', { waiting: 50, startsAtOnce: 4 }, 4],
    ['none more while those are not ready', { waiting: 50, startsAtOnce: 4, coming: 4, existing: 4 }, 0],
    ['one more at once for each that serves', { waiting: 50, startsAtOnce: 4, coming: 4, serving: 3, existing: 7 }, 3],
    ['one for all where one takes as many at once as are started at once', { waiting: 50, startsAtOnce: 4, concurrency: 20 }, 1],
    ['fewer at once where one takes several', { waiting: 50, startsAtOnce: 64, concurrency: 20 }, 3],
    [
      'none for those who wait while the first one has just begun',
      { waiting: 50, concurrency: 20, serving: 1, existing: 1, trial: true },
      0,
    ],
    ['the minimum all the same', { waiting: 50, concurrency: 20, serving: 1, existing: 1, minInstances: 3, trial: true }, 2],
    ['one at a time after a failure', { waiting: 10, failing: true }, 1],
    ['none after a failure while one is tried', { waiting: 10, failing: true, coming: 1, existing: 1 }, 0],
  ])('%s', (_what, change, expected) => {
    expect(instancesToStart({ ...calm, ...change })).toBe(expected);
  });

  it('are missing also where they are not started at once: as many may wait as they could serve', () => {
    expect(instancesMissing({ ...calm, waiting: 50, startsAtOnce: 4, coming: 4, existing: 4 })).toBe(46);
    expect(instancesMissing({ ...calm, waiting: 50, maxInstances: 5, startsAtOnce: 4, coming: 4, existing: 4 })).toBe(1);
  });

  it.each<[string, Partial<Demand>, number]>([
    ['none where each has somebody who waits', { waiting: 5, coming: 5 }, 0],
    ['those beyond who waits', { waiting: 2, coming: 5 }, 3],
    ['none that the minimum needs', { coming: 5, serving: 1, minInstances: 6 }, 0],
    ['all where nobody waits', { coming: 5, serving: 1 }, 5],
  ])('are dropped before they began: %s', (_what, change, expected) => {
    expect(startsToDrop({ ...calm, ...change })).toBe(expected);
  });
});

describe('the trial of a first instance', () => {
  const started = (answers: number[], until: number) => {
    let now = 0;
    const trial = new Trial(() => now);
    trial.begin();
    for (now of answers) trial.answered(now);
    now = until;
    return trial.remaining;
  };

  it.each<[string, number[], number, number]>([
    ['has begun', [], 0, 100],
    ['is over without an answer', [], 100, 0],
    ['goes on with an answer', [90], 100, 90],
    ['is not begun again by an answer that comes later', [120], 130, 0],
    ['is over after 1 s, whatever it answers', Array.from({ length: 20 }, (_, i) => 50 * (i + 1)), 990, 10],
  ])('%s', (_what, answers, now, remaining) => {
    expect(started(answers, now)).toBe(remaining);
  });
});

describe('victims', () => {
  const idle = (id: string, memory: number, idleSince: number, wanted = true): Candidate => ({ id, memory, idleSince, wanted });
  const names = (missing: number, candidates: Candidate[]) => chooseVictims(missing, candidates).map(({ id }) => id);

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
});

describe('capacity', () => {
  it('never promises more memory than there is, and takes a promise back once', () => {
    const capacity = new Capacity({ memory: 100, cpu: 1 });
    const held = capacity.reserve(60);
    expect(capacity.reserve(60)).toBeUndefined();
    expect(capacity.missing(60)).toBe(20);
    held?.();
    held?.();
    expect(capacity.memoryPromised).toBe(0);
    expect(capacity.missing(130)).toBe(30);
  });
});

describe('the gate', () => {
  /** Lets all of these in at once and keeps the order in which they got in; `leave` lets the first one of a function out. */
  function atGate(width: number, arrivals: string, cores = { busy: false }) {
    const gate = new Gate(width, cores);
    const order: string[] = [];
    const inside: { of: string; leave(): void }[] = [];
    const enter = async (of: string) => {
      const leave = await gate.enter(of);
      order.push(of);
      inside.push({ of, leave });
    };
    for (const of of arrivals) void enter(of);
    const settled = () => new Promise<string>((resolve) => setImmediate(() => resolve(order.join(''))));
    const leave = async (of: string) => {
      await settled();
      const [first] = inside.splice(
        inside.findIndex((each) => each.of === of),
        1,
      );
      first?.leave();
      first?.leave();
      return settled();
    };
    return { enter, leave, settled };
  }

  it('lets so many through, the others in order, and a way out opens it once', async () => {
    const { leave, settled } = atGate(2, 'aaaaa');
    expect(await settled()).toBe('aa');
    expect(await leave('a')).toBe('aaa');
    expect(await leave('a')).toBe('aaaa');
  });

  it('lets the single start of one function in before the burst of another that came first', async () => {
    const { enter, leave, settled } = atGate(4, 'a'.repeat(50));
    await settled();
    void enter('b');
    expect(await leave('a')).toBe('aaaab');
  });

  it('gives no function more than half of the places while others wait', async () => {
    const { leave } = atGate(4, 'aaaaaaaaaabbbbb');
    expect(await leave('a')).toBe('aaaab');
    expect(await leave('a')).toBe('aaaabb');
    // Two each: what b gives back is b's, what a gives back is a's.
    expect(await leave('b')).toBe('aaaabbb');
    expect(await leave('a')).toBe('aaaabbba');
  });

  it('lets one in at a time while the cores have no time left, and more when they have', async () => {
    const cores = { busy: true };
    const { leave, settled } = atGate(3, 'abcdef', cores);
    expect(await settled()).toBe('a');
    expect(await leave('a')).toBe('ab');
    cores.busy = false;
    expect(await leave('b')).toBe('abcde');
  });

  it('lets functions in by turns', async () => {
    const { leave } = atGate(1, 'aaabbc');
    let order = '';
    for (const of of 'abcab') order = await leave(of);
    expect(order).toBe('abcaba');
  });
});

describe('cores', () => {
  it('are busy where nearly nothing of the last window was idle, and are asked once a window', () => {
    let now = 0;
    let ticks = { idle: 1000, all: 5000 };
    let looks = 0;
    const cores = new Cores(
      () => {
        looks++;
        return ticks;
      },
      () => now,
    );
    const after = (idle: number, all: number) => {
      now += 100;
      ticks = { idle: ticks.idle + idle, all: ticks.all + all };
      return cores.busy;
    };
    expect([after(0, 20), after(2, 20), after(0, 0), after(1, 20)]).toEqual([true, false, false, true]);
    now += 99;
    ticks = { idle: 9000, all: 90_000 };
    expect(cores.busy).toBe(true);
    expect(looks).toBe(5);
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
