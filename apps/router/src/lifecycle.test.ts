import { expect, it } from 'vitest';
import { RouterLifecycle } from './lifecycle.js';

it('a router is ready from its first read on until it drains', () => {
  const lifecycle = new RouterLifecycle();
  expect(lifecycle.isReady).toBe(false);
  lifecycle.move('serving');
  expect([lifecycle.isReady, lifecycle.draining.aborted]).toEqual([true, false]);
  lifecycle.move('draining');
  expect([lifecycle.isReady, lifecycle.draining.aborted]).toEqual([false, true]);
});

it('a router that drains never serves again, whatever it reads', () => {
  const lifecycle = new RouterLifecycle();
  lifecycle.move('draining');
  expect(lifecycle.can('serving')).toBe(false);
  expect(() => lifecycle.move('serving')).toThrow('a router cannot go from draining to serving');
  lifecycle.move('gone');
  expect(lifecycle.phase).toBe('gone');
});
