import { expect, it } from 'vitest';
import { connectionBudget } from './descriptors.js';

it.each([256, 1024, 4096, 20_000, 65_536, 1_048_576])('with %i descriptors both doors together leave some for everything else', (limit) => {
  const { data, control } = connectionBudget(limit);
  expect(2 * data + control).toBeLessThanOrEqual(limit - 64);
  expect(control).toBeLessThan(data);
  expect(control).toBeGreaterThanOrEqual(16);
});

it('reads the limit of this process', () => {
  expect(connectionBudget().data).toBeGreaterThan(0);
});
