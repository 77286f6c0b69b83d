import type { FunctionView } from '@kiln/contract/api/control-api';
import type { Traffic } from '@kiln/contract/records/traffic';
import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../command.js';
import { connect } from '../connection.js';
import { type OutputOptions, printList } from '../output/print.js';
import { table } from '../output/table.js';
import { age } from '../output/units.js';

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

/** `v3`, or `v2 90 %, v3 10 %`. */
export function trafficText(traffic: Traffic): string {
  const shares = traffic.filter(({ weight }) => weight > 0);
  if (shares.length === 0) return 'no ready version';
  if (shares.length === 1) return `v${shares[0]?.version}`;
  return shares.map(({ version, weight }) => `v${version} ${weight} %`).join(', ');
}
