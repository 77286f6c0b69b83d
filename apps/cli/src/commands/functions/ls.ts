import type { FunctionView } from '@kiln/contract/api/control-api';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { type OutputOptions, printList } from '../../output/print.js';
import { tableOf } from '../../output/table.js';
import { age } from '../../output/units.js';
import { trafficText } from '../../versions/traffic-text.js';

export function lsCommand(session: Session): KilnCommand {
  return dataCommand('ls', session)
    .summary('list the functions')
    .description('Lists every function with its traffic, its home node and its address.')
    .examples(['kiln ls', 'all functions'], ["kiln ls -o json | jq -r '.[].url'", 'their addresses'])
    .action(async (options: OutputOptions) => {
      const empty = 'no functions yet; next: kiln init hello && kiln deploy hello';
      printList(session.terminal, options, await connect(session).functions.list(), functionTable, empty);
    });
}

const functionTable = tableOf(
  ['function', 'traffic', 'home', 'changed', 'url'],
  ({ name, traffic, home, updatedAt, url }: FunctionView) => [name, trafficText(traffic), home ?? undefined, age(updatedAt), url],
);
