import type { KilnClient } from '@kiln/client/client';
import type { Traffic } from '@kiln/contract/records';
import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../command.js';
import { connect } from '../connection.js';
import { requireFunctionName } from '../function-reference.js';
import { type OutputOptions, print } from '../output/print.js';
import { table } from '../output/table.js';
import { parseShares, resolveShares } from '../versions/parse-shares.js';
import { trafficText } from './ls.js';

export function trafficCommand(session: Session): Command {
  return dataCommand('traffic', session)
    .summary('show or set which versions get the traffic')
    .description(
      'Shows how a function’s requests are shared among its versions, or shares them anew. Weights are whole numbers that sum to 100;\n' +
        'versions left out get nothing. Only versions that are ready can be given any. Nothing is built.',
    )
    .argument('<name>', 'the function')
    .argument('[shares...]', 'version=weight; "latest" is the newest version that is ready')
    .addHelpText(
      'after',
      examples([
        ['kiln traffic hello', 'who gets what'],
        ['kiln traffic hello 3=90 latest=10', 'a tenth for the newest'],
        ['kiln traffic hello latest=100', 'all to the newest'],
      ]),
    )
    .action((name: string, shares: string[], options: OutputOptions) => traffic(session, requireFunctionName(name), shares, options));
}

async function traffic(session: Session, name: string, texts: readonly string[], options: OutputOptions): Promise<void> {
  const shares = texts.length === 0 ? undefined : parseShares(name, texts);
  const client = connect(session);
  if (shares === undefined) {
    print(session.terminal, options, await client.traffic.get(name), trafficTable);
    return;
  }
  const wanted = resolveShares(name, shares, await versionsFor(client, name, texts));
  const put = await client.traffic.put(name, wanted);
  print(session.terminal, options, put, trafficTable);
  session.terminal.say(`${name} is at ${trafficText(put)}; undo: kiln rollback ${name}`);
}

/** Only who says "latest" needs to know which there are. */
async function versionsFor(client: KilnClient, name: string, texts: readonly string[]) {
  return texts.some((text) => text.startsWith('latest')) ? client.versions.list(name) : [];
}

function trafficTable(shares: Traffic): string {
  return table(
    ['version', 'weight'],
    shares.map(({ version, weight }) => [`v${version}`, `${weight} %`]),
  );
}
