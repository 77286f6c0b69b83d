import type { NodeStore, StoredNode } from '@kiln/state/node-store';
import { describe, expect, it } from 'vitest';
import { NodeTable } from '../placement/node-table.js';
import { Membership } from './membership.js';

function node(id: string, wire?: number[]): StoredNode {
  return {
    ...{ id, dataUrl: 'http://127.0.0.1:9200', controlUrl: 'http://127.0.0.1:9201', weight: 1, cores: 2 },
    ...{ memory: 1024, memoryPromised: 0, load: 0, instances: 0, draining: false, epoch: 'e', beat: 1 },
    ...{ startedAt: new Date().toISOString(), warnings: [], alive: true, ...(wire && { wire }) },
  };
}

async function membershipOf(...known: StoredNode[]) {
  const nodes = new NodeTable();
  const store: Pick<NodeStore, 'list'> = { list: async () => known };
  const membership = new Membership(store, nodes);
  await membership.refresh();
  return { nodes, membership };
}

describe('a node’s versions of the wire', () => {
  it('are the first one where its agent is of before and says none', async () => {
    const { nodes } = await membershipOf(node('a'));
    expect(nodes.live().map(({ id }) => id)).toEqual(['a']);
  });

  it('need only one that this router speaks, too', async () => {
    const { nodes, membership } = await membershipOf(node('a', [1, 2]));
    expect(nodes.live().map(({ id }) => id)).toEqual(['a']);
    expect(membership.views()).toMatchObject([{ live: true, wire: [1, 2], warnings: [] }]);
  });

  it('that this router speaks none of keep calls away from it, and the node says why', async () => {
    const { nodes, membership } = await membershipOf(node('a'), node('b', [2, 3]));
    expect(nodes.live().map(({ id }) => id)).toEqual(['a']);
    expect(membership.views()).toMatchObject([
      { id: 'a', live: true },
      { id: 'b', live: false, warnings: [expect.stringContaining('no version of the wire')] },
    ]);
  });
});
