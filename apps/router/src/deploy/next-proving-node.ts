import type { VersionRecord } from '@kiln/contract/records/records';

export interface ProofState {
  version: Pick<VersionRecord, 'provingNode' | 'refusal'>;
  /** Nodes that may prove it, the best first. */
  usable: readonly string[];
  /** Nodes on which it cannot be started whatever else runs there, as where its image is not to be had. */
  unable: ReadonlySet<string>;
  /** Nodes that refused it since the last round through all of them began. */
  refused: ReadonlySet<string>;
}

/**
 * The node that is to try next, where the one that does cannot; the same one where no other is better off, for it goes on trying.
 * Undefined where no node is able. Asks nothing and changes nothing.
 */
export function nextProvingNode({ version: { provingNode, refusal }, usable, unable, refused }: ProofState): string | undefined {
  const isLost = usable.length > 0 && !usable.includes(provingNode);
  if (refusal?.node !== provingNode && !isLost) return provingNode;
  const able = usable.filter((node) => !unable.has(node));
  if (able.length === 0) return isLost || !unable.has(provingNode) ? provingNode : undefined;
  const at = able.indexOf(provingNode);
  const inTurn = [...able.slice(at + 1), ...able.slice(0, Math.max(0, at))];
  return inTurn.find((node) => !refused.has(node)) ?? (at === -1 ? able[0] : provingNode);
}
