import type { AgentsClient, WarmUpTarget } from '../agents/agents-client.js';
import type { NodeTable } from '../placement/node-table.js';

export interface WarmUpParts {
  nodes: NodeTable;
  agents: AgentsClient;
}

/**
 * Before traffic moves: every node readies as many instances of the next version as do the work there now, so that callers need not
 * wait for them afterwards. Never rejects, and ends within a bound: what is not ready by then starts when it is called.
 */
export async function warmUp({ nodes, agents }: WarmUpParts, successor: WarmUpTarget): Promise<void> {
  if (successor.serving.length === 0) return;
  await Promise.allSettled(nodes.live().map(({ record }) => agents.warm(record, successor)));
}
