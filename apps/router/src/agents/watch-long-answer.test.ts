import { expect, it, onTestFinished } from 'vitest';
import { watchSilence } from './watch-long-answer.js';

it('a build of hours goes on as long as its node answers, and ends when the node does not', async () => {
  let asked = 0;
  let answers = true;
  let lost: unknown;
  const ask = async () => {
    asked++;
    if (!answers) throw new Error('no answer');
  };
  const watch = watchSilence(
    ask,
    (error) => {
      lost = error;
    },
    5,
  );
  onTestFinished(() => watch.end());
  await expect.poll(() => asked).toBeGreaterThan(3);
  expect(lost).toBeUndefined();
  answers = false;
  await expect.poll(() => lost).toMatchObject({ message: 'no answer' });
  const then = asked;
  watch.heard();
  await expect.poll(() => asked).toBe(then);
});
