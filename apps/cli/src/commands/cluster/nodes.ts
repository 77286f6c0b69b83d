import type { NodeView } from '@kiln/contract/api/control-api';
import { nodeId } from '@kiln/contract/names';
import type { Command } from 'commander';
import { dataCommand, examples, newCommand, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { UsageFailure } from '../../failure.js';
import { type OutputOptions, print, printList } from '../../output/print.js';
import { paintState } from '../../output/style.js';
import { table } from '../../output/table.js';
import { age, megabytes } from '../../output/units.js';

export function nodesCommand(session: Session): Command {
  return newCommand('nodes', session)
    .summary('list and drain nodes')
    .description('The nodes of the cluster: one per Docker host.')
    .addCommand(lsNodes(session))
    .addCommand(drainNode(session))
    .addCommand(undrainNode(session))
    .addHelpText(
      'after',
      examples([
        ['kiln nodes ls', 'all nodes'],
        ['kiln nodes drain node-2', 'take a node out of use'],
        ['kiln nodes undrain node-2', 'and use it again'],
      ]),
    );
}

function lsNodes(session: Session): Command {
  return dataCommand('ls', session)
    .summary('list the nodes')
    .description('Lists every node with its load, its memory and how long it has been up.')
    .addHelpText('after', examples([['kiln nodes ls', 'all nodes']]))
    .action(async (options: OutputOptions) => {
      const nodes = await connect(session).nodes.list();
      printList(session.terminal, options, nodes, { text: nodeTable, empty: 'no nodes: nothing can run; next: kiln up' });
      sayWarnings(session, nodes);
    });
}

/** What is not as it should be on each node, for whoever reads. */
export function sayWarnings({ terminal }: Session, nodes: readonly NodeView[]): void {
  for (const { id, warnings } of nodes) for (const warning of warnings) terminal.sayProse(`warning: ${id}: ${warning}`);
}

function drainNode(session: Session): Command {
  return dataCommand('drain', session)
    .summary('let a node finish what runs and take no new work')
    .description(
      'The node takes no new work from now on, finishes what runs, and stays so until that is taken back or its agent is started again.',
    )
    .argument('<node>', "the node's id")
    .addHelpText('after', examples([['kiln nodes drain node-2', 'before its machine is switched off']]))
    .action(async (id: string, options: OutputOptions) => {
      await connect(session).nodes.drain(checkedId(id));
      print(session.terminal, options, { id, draining: true }, () => `${id} is draining`);
      session.terminal.say(session.terminal.hint('next: kiln nodes ls shows when nothing runs there any more'));
    });
}

function undrainNode(session: Session): Command {
  return dataCommand('undrain', session)
    .summary('let a node that drains take new work again')
    .description('Takes a drain back, also one that is not at its end: the node takes new work from now on.')
    .argument('<node>', "the node's id")
    .addHelpText('after', examples([['kiln nodes undrain node-2', 'its machine stays after all']]))
    .action(async (id: string, options: OutputOptions) => {
      await connect(session).nodes.undrain(checkedId(id));
      print(session.terminal, options, { id, draining: false }, () => `${id} takes work again`);
    });
}

/** @throws UsageFailure */
function checkedId(id: string): string {
  if (nodeId.safeParse(id).success) return id;
  throw new UsageFailure(`"${id}" can't be a node's id`, 'see which there are: kiln nodes ls');
}

export function nodeTable(nodes: readonly NodeView[], columns?: number): string {
  return table(
    ['node', 'state', 'instances', 'load', 'memory', 'cores', 'up'],
    nodes.map((node) => [
      node.id,
      paintState(nodeState(node)),
      node.instances,
      node.load.toFixed(1),
      `${megabytes(node.memoryPromised)} of ${megabytes(node.memory)}`,
      node.cores,
      node.live ? age(node.startedAt) : undefined,
    ]),
    columns,
  );
}

function nodeState({ live, draining }: NodeView): string {
  if (!live) return 'away';
  return draining ? 'draining' : 'ready';
}
