import { expect, it } from 'vitest';
import { CallerCheck } from './router-call.js';

it('accepts the secret and nothing else', () => {
  const check = new CallerCheck('open sesame');
  expect(check.accepts('open sesame')).toBe(true);
  for (const given of [
    undefined,
    '',
    'o',
    'open sesam',
    'open sesame ',
    'open sesame\0',
    'Open sesame',
    'open sesamf',
    'x'.repeat(100_000),
  ]) {
    expect(check.accepts(given)).toBe(false);
  }
});
