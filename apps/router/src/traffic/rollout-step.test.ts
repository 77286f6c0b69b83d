import type { FunctionRecord } from '@kiln/contract/records/records';
import { type RolloutRecord, startRolloutBody } from '@kiln/contract/records/rollout';
import { describe, expect, it } from 'vitest';
import { abort, advance, begin, type StageView, trafficAt, verdictOn } from './rollout-step.js';
import { Tally, type TrafficCounts, together } from './rollout-tally.js';

const time = '2030-01-01T00:00:00.000Z';
const record: FunctionRecord = {
  name: 'hello',
  revision: 7,
  lastVersion: 4,
  traffic: [
    { version: 2, weight: 70 },
    { version: 3, weight: 30 },
  ],
  previousTraffic: [{ version: 1, weight: 100 }],
  sticky: false,
  createdAt: time,
  updatedAt: time,
};
const request = startRolloutBody.parse({
  stages: [
    { weight: 10, forMs: 60_000 },
    { weight: 50, forMs: 60_000 },
  ],
});
const NOW = new Date().toISOString();
const begun = begin(record, 4, request, NOW, 'ci');
const rollout = begun.rollout as RolloutRecord;

describe('a rollout', () => {
  it('keeps, of the shares that it changes, the keys of a later version of Kiln', () => {
    const share = { version: 2, weight: 100, region: 'eu' };
    expect(trafficAt([share], 4, 10)).toEqual([
      { version: 2, weight: 90, region: 'eu' },
      { version: 4, weight: 10 },
    ]);
  });

  it('begins with its first stage, and remembers what an abort returns to', () => {
    expect(begun.traffic).toEqual([
      { version: 2, weight: 63 },
      { version: 3, weight: 27 },
      { version: 4, weight: 10 },
    ]);
    expect(begun.previousTraffic).toEqual(record.traffic);
    expect(rollout).toMatchObject({ state: 'running', stage: 0, from: record.traffic, previous: record.previousTraffic, startedBy: 'ci' });
  });

  it('goes from stage to stage to all traffic; a rollback then returns to what was before it', () => {
    const second = advance(rollout, NOW);
    expect(second.traffic.at(-1)).toEqual({ version: 4, weight: 50 });
    expect(second.rollout).toMatchObject({ state: 'running', stage: 1 });
    const last = advance(second.rollout as RolloutRecord, NOW);
    expect(last).toMatchObject({ traffic: [{ version: 4, weight: 100 }], previousTraffic: record.traffic, rollout: { state: 'done' } });
  });

  it('is as if it had never begun when it was aborted', () => {
    const { traffic, previousTraffic, rollout: ended } = abort(advance(rollout, NOW).rollout as RolloutRecord, 'it is bad', NOW);
    expect({ traffic, previousTraffic }).toEqual({ traffic: record.traffic, previousTraffic: record.previousTraffic });
    expect(ended).toMatchObject({ state: 'aborted', reason: 'it is bad', stage: 1, endedAt: expect.any(String) });
  });

  it('always shares out exactly 100, in whole numbers, the others as they were to each other', () => {
    for (let i = 0; i < 2000; i += 1) {
      const cuts = Array.from({ length: 1 + (i % 7) }, () => Math.floor(Math.random() * 101)).sort((a, b) => a - b);
      const weights = [...cuts, 100].map((cut, j) => cut - (cuts[j - 1] ?? 0));
      const from = weights.map((weight, j) => ({ version: j + 1, weight }));
      const version = i % 3 === 0 ? 1 : 99;
      if (from.every((share) => share.version === version || share.weight === 0)) continue;
      const weight = 1 + (i % 99);
      const shares = trafficAt(from, version, weight);
      expect(shares.reduce((sum, share) => sum + share.weight, 0)).toBe(100);
      expect(shares.at(-1)).toEqual({ version, weight });
      expect(new Set(shares.map((share) => share.version)).size).toBe(shares.length);
      const others = from.filter((share) => share.version !== version).reduce((sum, share) => sum + share.weight, 0);
      for (const share of shares.slice(0, -1)) {
        const exact = ((from.find((each) => each.version === share.version)?.weight ?? 0) * (100 - weight)) / others;
        expect(Math.abs(share.weight - exact)).toBeLessThan(1);
      }
    }
  });
});

describe('what becomes of a stage', () => {
  const seen = (requests: number, errors = 0, p95: number | undefined = 10): TrafficCounts => ({ requests, errors, p95 });
  const view = (fresh: TrafficCounts, old: TrafficCounts, more: Partial<StageView> = {}): StageView => ({
    fresh,
    old,
    lastedMs: 0,
    watchedMs: 60_000,
    ...more,
  });
  const kindOf = (each: StageView) => verdictOn(rollout, each).kind;

  it.each<[string, StageView, string]>([
    ['stays until its time is over', view(seen(1000), seen(1000), { lastedMs: 59_999 }), 'stay'],
    ['moves on when it is', view(seen(1000), seen(1000), { lastedMs: 60_000 }), 'advance'],
    ['moves on where nobody called', view(seen(0), seen(0), { lastedMs: 60_000 }), 'advance'],
    ['stays with a router that has only just taken over', view(seen(0), seen(0), { lastedMs: 60_000, watchedMs: 2999 }), 'stay'],
    ['is aborted for more errors than 2 points', view(seen(1000, 31), seen(1000, 10)), 'abort'],
    ['takes 2 points', view(seen(1000, 30), seen(1000, 10)), 'stay'],
    ['takes errors that the others have too', view(seen(100, 60), seen(100, 60)), 'stay'],
    ['is not aborted for too few requests of the new version', view(seen(49, 49), seen(1000)), 'stay'],
    ['nor where too few met the others', view(seen(1000, 1000), seen(49)), 'stay'],
    ['is aborted for a 95th percentile of more than 1.5 times', view(seen(200, 0, 151), seen(200, 0, 100)), 'abort'],
    ['takes 1.5 times', view(seen(200, 0, 150), seen(200, 0, 100)), 'stay'],
    ['takes a multiple of next to nothing', view(seen(200, 0, 9), seen(200, 0, 0.9)), 'stay'],
    ['takes any percentile of few requests', view(seen(199, 0, 1000), seen(1000, 0, 10)), 'stay'],
    ['is aborted although its time is over', view(seen(100, 100), seen(100), { lastedMs: 60_000 }), 'abort'],
    ['has no percentile where everything failed', view({ ...seen(200, 200), p95: undefined }, seen(200, 200, 5)), 'stay'],
  ])('%s', (_what, each, kind) => {
    expect(kindOf(each)).toBe(kind);
  });

  it('says what was worse, by how much, and what was allowed', () => {
    expect(verdictOn(rollout, view(seen(200, 20), seen(1000, 10)))).toEqual({
      kind: 'abort',
      reason: '10.0 % of 200 requests failed, against 1.0 % before: more than 2 points worse, at 10 % of the traffic',
    });
    expect(verdictOn(rollout, view(seen(200, 0, 333), seen(1000, 0, 20)))).toEqual({
      kind: 'abort',
      reason: '95 % of its requests took up to 333 ms, against 20.0 ms before: more than 1.5 times as long, at 10 % of the traffic',
    });
  });
});

describe('counting', () => {
  const answered = (execMs: number, status = 200) => ({ status, end: 'answered' as const, execMs });

  it('finds the 95th percentile of all routers together within a tenth', () => {
    for (const scale of [0.2, 3, 70, 12_000]) {
      const tallies = [new Tally(), new Tally(), new Tally()];
      for (let i = 1; i <= 1000; i += 1) tallies[i % 3]!.add(answered((i / 1000) * scale));
      const { requests, errors, p95 } = together(tallies.map((tally) => tally.toRecord()));
      expect([requests, errors]).toEqual([1000, 0]);
      expect((p95 as number) / (0.95 * scale)).toBeGreaterThan(0.9);
      expect((p95 as number) / (0.95 * scale)).toBeLessThan(1.101);
    }
  });

  it('counts failures by status and by cut answers, and not who left', () => {
    const tally = new Tally();
    for (const status of [200, 404, 429, 500, 502, 504]) tally.add(answered(1, status));
    tally.add({ status: 200, end: 'cut', execMs: 1 });
    tally.add({ status: 0, end: 'client_gone', execMs: 0 });
    expect(together([tally.toRecord()])).toMatchObject({ requests: 7, errors: 4 });
  });

  it('takes any duration', () => {
    const tally = new Tally();
    for (const ms of [0, -1, 0.1, 900_000, 1e12]) tally.add(answered(ms));
    expect(together([tally.toRecord()]).requests).toBe(5);
    expect(tally.toRecord().durations.reduce((sum, [, count]) => sum + count, 0)).toBe(5);
  });
});
