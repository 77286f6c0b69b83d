import { until } from '@kiln/testing/until';
import { beforeAll, describe, expect, it } from 'vitest';
import { PushTurnStore } from './push-turn-store.js';
import { store, withStore } from './with-store.fixture.js';

let turns: PushTurnStore;

withStore();
beforeAll(() => {
  turns = new PushTurnStore(store);
});

describe('the turn of a push', () => {
  it('is with one push of a project at a time, until that gives it back', async () => {
    expect(await turns.lease('shop', 'a', 60_000)).toBe(true);
    expect(await turns.lease('shop', 'b', 60_000)).toBe(false);
    expect(await turns.lease('other', 'b', 60_000)).toBe(true);
    await turns.giveBack('shop', 'b');
    expect(await turns.lease('shop', 'b', 60_000)).toBe(false);
    await turns.giveBack('shop', 'a');
    expect(await turns.lease('shop', 'b', 60_000)).toBe(true);
  });

  it('goes to another when it is not kept', async () => {
    expect(await turns.lease('killed', 'a', 200)).toBe(true);
    await until('it has run out', () => turns.lease('killed', 'b', 60_000));
    expect(await turns.lease('killed', 'a', 200)).toBe(false);
  });

  it('is of a project whose name is one', async () => {
    await expect(turns.lease('a:b', 'a', 200)).rejects.toMatchObject({ code: 'bad_request' });
  });
});
