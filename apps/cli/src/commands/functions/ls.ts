import type { FunctionView } from '@kiln/contract/api/control-api';
import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { type OutputOptions, printList } from '../../output/print.js';
import { table } from '../../output/table.js';
import { age } from '../../output/units.js';
import { trafficText } from '../../versions/traffic-text.js';

export function lsCommand(session: Session): Command {
  return dataCommand('ls', session)
    .summary('list the functions')
    .description('Lists every function with the versions that get its traffic, its home node and its address.')
    .addHelpText(
      'after',
      examples([
        ['kiln ls', 'all functions'],
        ["kiln ls -o json | jq -r '.[].url'", 'their addresses'],
      ]),
    )
    .action((options: OutputOptions) => ls(session, options));
}

async function ls(session: Session, options: OutputOptions): Promise<void> {
  const functions = await connect(session).functions.list();
  const empty = 'no functions yet; next: kiln init hello && kiln deploy hello';
  printList(session.terminal, options, functions, { text: functionTable, empty });
}

function functionTable(functions: readonly FunctionView[], columns?: number): string {
  return table(
    ['function', 'traffic', 'home', 'changed', 'url'],
    functions.map(({ name, traffic, home, updatedAt, url }) => [name, trafficText(traffic), home ?? undefined, age(updatedAt), url]),
    columns,
  );
}
