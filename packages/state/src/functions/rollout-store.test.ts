import { until } from '@kiln/testing/until';
import { beforeAll, describe, expect, it } from 'vitest';
import { store, withStore } from '../with-store.fixture.js';
import { RolloutStore } from './rollout-store.js';

let rollouts: RolloutStore;

withStore();
beforeAll(() => {
  rollouts = new RolloutStore(store);
});

describe('the lease of a rollout', () => {
  it('is with one router at a time, and goes to another when it is not kept', async () => {
    expect(await rollouts.lease('hello', 'a', 300)).toBe(true);
    expect(await rollouts.lease('hello', 'b', 300)).toBe(false);
    expect(await rollouts.lease('hello', 'a', 300)).toBe(true);
    expect(await rollouts.lease('other', 'b', 300)).toBe(true);
    await until('it has run out', () => rollouts.lease('hello', 'b', 5000));
    expect(await rollouts.lease('hello', 'a', 300)).toBe(false);
  });
});

describe('counts', () => {
  it('are those that each router told last', async () => {
    const tally = (requests: number) => ({ requests, errors: 0, durations: [[3, requests] as [number, number]] });
    const counts = (requests: number) => ({ stage: 's', fresh: tally(requests), old: tally(0) });
    expect(await rollouts.counts('hello')).toEqual([]);
    for (const requests of [1, 2]) await rollouts.report('hello', 'a', counts(requests));
    await rollouts.report('hello', 'b', counts(5));
    expect((await rollouts.counts('hello')).map(({ fresh }) => fresh.requests).sort()).toEqual([2, 5]);
    expect(await store.run((connection) => connection.pttl('kiln:rollout-counts:hello'))).toBeGreaterThan(0);
  });
});
