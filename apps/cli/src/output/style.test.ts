import { describe, expect, it } from 'vitest';
import { neutralise } from './neutralise.js';
import { hasColours, paint, paintState, render, widthOf } from './style.js';

const tty = { isTTY: true };

describe('colours', () => {
  it.each([
    [tty, {}, true],
    [{}, {}, false],
    [tty, { NO_COLOR: '1' }, false],
    [tty, { NO_COLOR: '' }, true],
    [{}, { FORCE_COLOR: '1' }, true],
    [{}, { FORCE_COLOR: '' }, true],
    [tty, { FORCE_COLOR: '0' }, false],
    [tty, { FORCE_COLOR: 'false' }, false],
    [{}, { FORCE_COLOR: '1', NO_COLOR: '1' }, false],
    [tty, { TERM: 'dumb' }, false],
  ])('of %j with %j: %s', (stream, environment, expected) => {
    expect(hasColours(stream, environment)).toBe(expected);
  });

  it('are written by who knows the terminal, and take no columns', () => {
    const text = `it ${paint('red', 'failed')}`;
    expect([render(text, true), render(text, false), widthOf(text)]).toEqual(['it \u001b[31mfailed\u001b[0m', 'it failed', 9]);
    expect(render(paintState('failed: start_failed'), true)).toBe('\u001b[31mfailed: start_failed\u001b[0m');
    expect(paintState('v3')).toBe('v3');
  });

  it('can not be had by what others wrote', () => {
    const foreign = '\ufdd031\ufdd1\u001b[31mred';
    expect(render(neutralise(foreign), true)).toBe('\ufdd031\ufdd1\\x1b[31mred');
  });
});
