import { describe, expect, it } from 'vitest';
import { StartForecast } from './start-forecast.js';

function forecast(usualMs: number): StartForecast {
  const made = new StartForecast();
  made.took(usualMs);
  return made;
}

describe('StartForecast', () => {
  it('lets a request take what becomes free while its own instance has only begun to start', () => {
    expect(forecast(300).worthWaiting(10)).toBe(0);
    expect(forecast(300).worthWaiting(99)).toBe(0);
  });

  it('lets it wait for its own when that is due, and a little longer', () => {
    expect(forecast(300).worthWaiting(250)).toBe(750);
    expect(forecast(300).worthWaiting(900)).toBe(100);
  });

  it('lets it wait no longer for one that is late', () => {
    expect(forecast(300).worthWaiting(1000)).toBe(0);
  });

  it('lets nobody wait for a slow start that is not due soon', () => {
    expect(forecast(5000).worthWaiting(3000)).toBe(0);
    expect(forecast(5000).worthWaiting(4600)).toBe(1100);
  });
});
