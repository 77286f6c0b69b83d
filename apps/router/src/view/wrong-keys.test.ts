import { expect, it } from 'vitest';
import { WrongKeys } from './wrong-keys.js';

it('refuses a caller that has tried many wrong keys, and only that one, until time has passed', () => {
  let now = 0;
  const wrong = new WrongKeys(() => now);
  for (let i = 0; i < 200; i++) {
    expect(wrong.exhausted('a')).toBe(false);
    wrong.note('a');
  }
  expect([wrong.exhausted('a'), wrong.exhausted('b')]).toEqual([true, false]);
  now += 200;
  expect(wrong.exhausted('a')).toBe(false);
  wrong.note('a');
  expect(wrong.exhausted('a')).toBe(true);
});

it('remembers a bounded number of callers', () => {
  const wrong = new WrongKeys(() => 0);
  for (let i = 0; i < 200; i++) wrong.note('first');
  for (let i = 0; i < 9999; i++) wrong.note(`caller ${i}`);
  expect(wrong.exhausted('first')).toBe(true);
  wrong.note('one more');
  expect(wrong.exhausted('first')).toBe(false);
});
