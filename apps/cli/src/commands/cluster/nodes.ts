import type { NodeView } from '@kiln/contract/api/control-api';
import { nodeId } from '@kiln/contract/names';
import { dataCommand, KilnCommand, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { UsageFailure } from '../../failure.js';
import { type OutputOptions, print, printList } from '../../output/print.js';
import { paintState } from '../../output/style.js';
import { tableOf } from '../../output/table.js';
import { age, megabytes } from '../../output/units.js';

export function nodesCommand(session: Session): KilnCommand {
  return new KilnCommand('nodes', session)
    .summary('list and drain nodes')
    .description('The nodes of the cluster: one per Docker host.')
    .addCommand(lsNodes(session))
    .addCommand(drainNode(session))
    .addCommand(undrainNode(session))
    .examples(
      ['kiln nodes ls', 'all nodes'],
      ['kiln nodes drain node-2', 'take a node out of use'],
      ['kiln nodes undrain node-2', 'use it again'],
    );
}

function lsNodes(session: Session): KilnCommand {
  return dataCommand('ls', session)
    .summary('list the nodes')
    .description('Lists every node with its load, its memory and how long it has been up.')
    .examples(['kiln nodes ls', 'all nodes'])
    .action(async (options: OutputOptions) => {
      const nodes = await connect(session).nodes.list();
      printList(session.terminal, options, nodes, nodeTable, 'no nodes: nothing can run; next: kiln up');
      sayWarnings(session, nodes);
    });
}

/** Prints the warnings of each node. */
export function sayWarnings({ terminal }: Session, nodes: readonly NodeView[]): void {
  for (const { id, warnings } of nodes) for (const warning of warnings) terminal.sayProse(`warning: ${id}: ${warning}`);
}

function drainNode(session: Session): KilnCommand {
  return dataCommand('drain', session)
    .summary('drain a node: no new work, and what runs is finished')
    .description('The node takes no new work and finishes what runs. It stays so until kiln nodes undrain, or until its agent restarts.')
    .argument('<node>', "the node's id")
    .examples(['kiln nodes drain node-2', 'before its machine is switched off'])
    .action(async (id: string, options: OutputOptions) => {
      await connect(session).nodes.drain(requireId(id));
      print(session.terminal, options, { id, draining: true }, () => `${id} is draining`);
      session.terminal.say(session.terminal.hint('next: kiln nodes ls shows when nothing runs there'));
    });
}

function undrainNode(session: Session): KilnCommand {
  return dataCommand('undrain', session)
    .summary('end a drain: the node takes new work again')
    .description('Ends a drain, finished or not: the node takes new work again.')
    .argument('<node>', "the node's id")
    .examples(['kiln nodes undrain node-2', 'keep its machine in use'])
    .action(async (id: string, options: OutputOptions) => {
      await connect(session).nodes.undrain(requireId(id));
      print(session.terminal, options, { id, draining: false }, () => `${id} takes work again`);
    });
}

/** @throws UsageFailure */
function requireId(id: string): string {
  if (nodeId.safeParse(id).success) return id;
  throw new UsageFailure(`"${id}" can't be a node's id`, 'list the nodes: kiln nodes ls');
}

export const nodeTable = tableOf(['node', 'state', 'instances', 'load', 'memory', 'cores', 'up'], (node: NodeView) => [
  node.id,
  paintState(nodeState(node)),
  node.instances,
  node.load.toFixed(1),
  `${megabytes(node.memoryPromised)} of ${megabytes(node.memory)}`,
  node.cores,
  node.live ? age(node.startedAt) : undefined,
]);

function nodeState({ live, draining }: NodeView): string {
  if (!live) return 'away';
  return draining ? 'draining' : 'ready';
}
