import { KilnError } from '@kiln/contract/errors';
import type { InstanceRecord } from '@kiln/contract/records/records';
import type { NodeTable } from '../placement/node-table.js';
import type { AgentsClient } from './agents-client.js';

/** Where a function runs, by the nodes that answer: only they know. @throws KilnError `unavailable` if there are nodes and none answers */
export async function instancesOf(nodes: NodeTable, agents: AgentsClient, name: string): Promise<InstanceRecord[]> {
  const answers = await Promise.allSettled(nodes.live().map(({ record }) => agents.instances(record, name)));
  const lists = answers.filter((answer) => answer.status === 'fulfilled').map(({ value }) => value);
  if (answers.length > 0 && lists.length === 0) throw new KilnError('unavailable', 'no node answers', { fix: 'kiln nodes ls' });
  return lists.flat().sort((a, b) => (a.id < b.id ? -1 : 1));
}
