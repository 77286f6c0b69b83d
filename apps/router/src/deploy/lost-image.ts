import { KilnError } from '@kiln/contract/errors';
import type { NodeRecord, VersionRecord } from '@kiln/contract/records/records';
import type { AgentsClient } from '../agents/agents-client.js';
import type { NodeTable } from '../placement/node-table.js';

/** A node looks into its own engine: one that takes longer is in trouble, and says nothing of the image. */
const LOOK_MS = 5000;

export interface ImageParts {
  nodes: Pick<NodeTable, 'preference' | 'find'>;
  agents: Pick<AgentsClient, 'facts'>;
}

/** Whether no node has the image of a version any more, and no registry either. A node that can't be asked may have it. */
export async function isImageLost({ nodes, agents }: ImageParts, version: VersionRecord): Promise<boolean> {
  const { function: name, image, provingNode } = version;
  if (isInRegistry(image)) return false;
  const records = nodes.preference(name).map(({ record }) => record);
  // It drains or starts anew, and has it all the same.
  if (provingNode !== undefined && nodes.find(provingNode) !== undefined && !records.some(({ id }) => id === provingNode)) return false;
  // Where it was built first: a node that never had it would warn of a loss.
  const inTurn = records.toSorted((a, b) => Number(b.id === provingNode) - Number(a.id === provingNode));
  for (const record of inTurn) if (!(await hasLost(agents, record, image))) return false;
  return inTurn.length > 0;
}

function isInRegistry(image: string): boolean {
  return image.includes('@');
}

async function hasLost(agents: ImageParts['agents'], node: NodeRecord, image: string): Promise<boolean> {
  return await agents.facts(node, image, AbortSignal.timeout(LOOK_MS)).then(
    () => false,
    (error: unknown) => error instanceof KilnError && error.code === 'start_failed',
  );
}
