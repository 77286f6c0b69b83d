import { describe, expect, it } from 'vitest';
import { Turns } from './turns.js';

const never = new AbortController().signal;
const ignore = () => undefined;
const MAX_WAITING = 4;

describe('Turns', () => {
  it('come in order, one at a time for each project, and a turn ends once', async () => {
    const turns = new Turns(1);
    const order: number[] = [];
    const first = await turns.enter('a', never, ignore);
    const waited: number[] = [];
    const others = [1, 2, 3].map(async (i) => {
      const leave = await turns.enter('a', never, (before) => waited.push(before));
      order.push(i);
      return leave;
    });
    (await turns.enter('b', never, ignore))();
    expect([waited, order]).toEqual([[1, 2, 3], []]);
    first();
    first();
    (await others[0])?.();
    await others[1];
    expect(order).toEqual([1, 2]);
  });

  it('are given up by those who leave, and are refused to too many', async () => {
    const turns = new Turns(1, MAX_WAITING);
    const leave = await turns.enter('a', never, ignore);
    const leaving = new AbortController();
    const gone = turns.enter('a', leaving.signal, ignore);
    const waiting = Array.from({ length: MAX_WAITING - 1 }, () => turns.enter('a', never, ignore));
    await expect(turns.enter('a', never, ignore)).rejects.toMatchObject({ code: 'concurrency_limit' });
    leaving.abort(new Error('left'));
    await expect(gone).rejects.toThrow('left');
    const last = turns.enter('a', never, ignore);
    leave();
    for (const each of [...waiting, last]) (await each)();
    (await turns.enter('a', never, () => expect.fail('nobody is there')))();
  });

  it('run as many at a time as there may be', async () => {
    const turns = new Turns(2);
    const leave = await turns.enter('a', never, ignore);
    await turns.enter('a', never, () => expect.fail('there is room for two'));
    const waited: number[] = [];
    const third = turns.enter('a', never, (before) => waited.push(before));
    leave();
    await third;
    expect(waited).toEqual([2]);
  });
});
