import { describe, expect, it } from 'vitest';
import { Patience } from './patience.js';

function patience() {
  const clock = { now: 0 };
  const made = new Patience(60_000, () => clock.now);
  /** Seconds pass, each with so many ms of work and bytes of log. */
  let work = { cpuMs: 0, logged: 0 };
  const pass = (seconds: number, cpuMs: number, logged = 0) => {
    for (let i = 0; i < seconds && !made.isOver; i++) {
      clock.now += 1000;
      work = { cpuMs: work.cpuMs + cpuMs, logged: work.logged + logged };
      made.saw('router', work);
    }
    return clock.now / 1000;
  };
  return { made, pass };
}

describe('waiting for a start', () => {
  it('ends a minute after nothing was done', () => {
    const { made, pass } = patience();
    expect(pass(200, 0)).toBe(61);
    expect(made.isOver).toBe(true);
  });

  it('ends although who waits uses a little time', () => expect(patience().pass(600, 5)).toBe(61));
  it('goes on while there is work', () => {
    const { made, pass } = patience();
    pass(300, 300);
    expect(made.isOver).toBe(false);
    expect(pass(100, 0)).toBeGreaterThanOrEqual(360);
    expect(made.isOver).toBe(true);
  });
  it('goes on while lines are written', () => expect(patience().pass(300, 0, 10)).toBe(300));
  it('ends after ten minutes, whatever is done', () => expect(patience().pass(2000, 900, 10)).toBe(601));
});
