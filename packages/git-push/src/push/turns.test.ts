import { describe, expect, it } from 'vitest';
import { MAX_WAITING } from '../repository/limits.js';
import { Turns } from './turns.js';

const never = new AbortController().signal;
const ignore = () => undefined;

describe('Turns', () => {
  it('come in order, one at a time for each project, and a turn ends once', async () => {
    const turns = new Turns();
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
    const turns = new Turns();
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
});
