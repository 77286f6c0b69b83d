import { expect, it } from 'vitest';
import { SingleFlight } from './single-flight.js';

it('runs once at a time, and gives everybody a run that began after the question', async () => {
  let started = 0;
  let running = 0;
  const release: (() => void)[] = [];
  const flight = new SingleFlight(async () => {
    started += 1;
    running += 1;
    expect(running).toBe(1);
    await new Promise<void>((resolve) => release.push(resolve));
    running -= 1;
  });
  const first = flight.run();
  const others = [flight.run(), flight.run(), flight.run()];
  expect(started).toBe(1);
  release[0]?.();
  await first;
  await expect.poll(() => started).toBe(2);
  const third = flight.run();
  release[1]?.();
  await Promise.all(others);
  await expect.poll(() => started).toBe(3);
  release[2]?.();
  await third;
});

it('tells a failure to those who asked, and goes on', async () => {
  let runs = 0;
  const flight = new SingleFlight(async () => {
    runs += 1;
    if (runs === 1) throw new Error('once');
  });
  const first = flight.run();
  const second = flight.run();
  await expect(first).rejects.toThrowError('once');
  await second;
  await flight.run();
  expect(runs).toBe(3);
});
