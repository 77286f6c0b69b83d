import { describe, expect, it } from 'vitest';
import { chooseNodes, type NodeLoad } from './node-table.js';

const node = (id: string, load: number, { weight = 1, cores = 2 } = {}): NodeLoad => ({ id, load, weight, cores });
const order = (...nodes: NodeLoad[]) => chooseNodes(nodes).map(({ id }) => id);

describe('chooseNodes', () => {
  it('keeps the ring order while all nodes are idle', () => {
    expect(order(node('home', 0), node('next', 0), node('last', 0))).toEqual(['home', 'next', 'last']);
  });

  it('stays at home below four busy instances per core, however idle the others are', () => {
    expect(order(node('home', 7.9), node('next', 0), node('last', 0))[0]).toBe('home');
  });

  it('goes past a home that is over its bound, to the first successor under it', () => {
    expect(order(node('home', 30), node('next', 29), node('last', 1))).toEqual(['last', 'next', 'home']);
  });

  it('lets a heavier node carry its larger share', () => {
    expect(order(node('home', 30, { weight: 3 }), node('next', 10), node('last', 10))[0]).toBe('home');
  });

  it('tries the least loaded first when all are over their bound, ties in ring order', () => {
    const tiny = { weight: 1, cores: 0 };
    // With one core each and equal loads nobody is under 1.25 x the mean only if the loads differ; here two are far over.
    expect(order(node('home', 100, tiny), node('next', 100, tiny), node('last', 1, tiny))).toEqual(['last', 'home', 'next']);
  });

  it('names every node, so that the router can walk on', () => {
    expect(order(node('a', 99), node('b', 0), node('c', 50), node('d', 8)).sort()).toEqual(['a', 'b', 'c', 'd']);
    expect(order(node('only', 1000))).toEqual(['only']);
    expect(order()).toEqual([]);
  });
});
