import { describe, expect, it } from 'vitest';
import { parseSince } from './parse-since.js';

const now = Date.parse('2030-06-01T12:00:00Z');

describe('parseSince', () => {
  it.each([
    ['10m', '2030-06-01T11:50:00.000Z'],
    ['2030-05-31', '2030-05-31T00:00:00.000Z'],
    ['2030-06-01T11:00:00Z', '2030-06-01T11:00:00.000Z'],
    ['2030-06-01T13:00:00+02:00', '2030-06-01T11:00:00.000Z'],
  ])('reads %s', (text, time) => expect(parseSince(text, now).toISOString()).toBe(time));

  it.each(['5', '2001', 'yesterday', 'May', '1', '2030-13-01', '-5m', '', '2030-06-02'])('takes %j for no time', (text) => {
    expect(() => parseSince(text, now)).toThrow(/neither a duration nor a time|in the future/);
  });
});
