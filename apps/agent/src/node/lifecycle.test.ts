import { describe, expect, it } from 'vitest';
import { NodeLifecycle, type NodePhase } from './lifecycle.js';

function after(...moves: NodePhase[]): NodeLifecycle {
  const life = new NodeLifecycle();
  for (const to of moves) life.move(to);
  return life;
}

describe('the life of a node', () => {
  it.each<[string, NodePhase[], boolean]>([
    ['before its first heartbeat', [], true],
    ['while it serves', ['serving'], true],
    ['while it drains', ['serving', 'draining'], false],
    ['after a drain was taken back', ['serving', 'draining', 'serving'], true],
    ['while it leaves', ['serving', 'leaving'], false],
    ['at its end', ['serving', 'draining', 'leaving', 'gone'], false],
  ])('takes work or not: %s', (_when, moves, takes) => {
    expect(after(...moves).takesWork).toBe(takes);
  });

  it.each<[NodePhase[], NodePhase]>([
    [['serving', 'leaving'], 'serving'],
    [['serving', 'leaving'], 'draining'],
    [['serving'], 'gone'],
    [['leaving', 'gone'], 'serving'],
  ])('never goes from %j to %s', (moves, to) => {
    const life = after(...moves);
    expect(life.can(to)).toBe(false);
    expect(() => life.move(to)).toThrowError(/cannot go/);
  });
});
