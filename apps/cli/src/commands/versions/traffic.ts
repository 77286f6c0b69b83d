import type { KilnClient } from '@kiln/client/client';
import type { Traffic } from '@kiln/contract/records/traffic';
import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { requireFunctionName } from '../../function-reference.js';
import { type OutputOptions, print, printList } from '../../output/print.js';
import { table } from '../../output/table.js';
import { parseShares, resolveShares, type Share } from '../../versions/parse-shares.js';
import { trafficText } from '../../versions/traffic-text.js';

interface TrafficCommandOptions extends OutputOptions {
  sticky?: boolean;
}

export function trafficCommand(session: Session): Command {
  return dataCommand('traffic', session)
    .summary('show or set which versions get the traffic')
    .description(
      'Shows how a function’s requests are shared among its versions, or shares them anew. Weights are whole numbers that sum to 100;\n' +
        'versions left out get nothing. Only versions that are ready can be given any. Nothing is built.',
    )
    .argument('<name>', 'the function')
    .argument('[shares...]', 'version=weight; "latest" is the newest version that is ready')
    .option('--sticky', 'a client keeps, by a cookie, the version that it met first, as long as that has weight')
    .option('--no-sticky', 'each request is drawn anew')
    .addHelpText(
      'after',
      examples([
        ['kiln traffic hello', 'who gets what'],
        ['kiln traffic hello 3=90 latest=10', 'a tenth for the newest'],
        ['kiln traffic hello 3=90 latest=10 --sticky', 'the same, and who met one of them stays with it'],
        ['kiln traffic hello latest=100', 'all to the newest'],
      ]),
    )
    .action((name: string, shares: string[], options: TrafficCommandOptions) =>
      traffic(session, requireFunctionName(name), shares, options),
    );
}

async function traffic(session: Session, name: string, texts: readonly string[], options: TrafficCommandOptions): Promise<void> {
  const { sticky } = options;
  const shares = parseShares(name, texts);
  const client = connect(session);
  if (shares.length === 0 && sticky === undefined) {
    const empty = `no version of ${name} has traffic; next: kiln versions ${name}`;
    printList(session.terminal, options, await client.traffic.get(name), { text: trafficTable, empty });
    return;
  }
  const put = await client.traffic.put(name, await wanted(client, name, shares), { ...(sticky !== undefined && { sticky }) });
  print(session.terminal, options, put, trafficTable);
  session.terminal.say(session.terminal.hint(`${name} is at ${trafficText(put)}${stickyText(sticky)}; undo: kiln rollback ${name}`));
}

/** Only who says "latest" needs to know which there are. */
async function wanted(client: KilnClient, name: string, shares: readonly Share[]): Promise<Traffic> {
  if (shares.length === 0) return client.traffic.get(name);
  const versions = shares.some(({ version }) => version === 'latest') ? await client.versions.list(name) : [];
  return resolveShares(name, shares, versions);
}

function stickyText(sticky: boolean | undefined): string {
  if (sticky === undefined) return '';
  return sticky ? ', and a client keeps its version' : ', drawn anew for each request';
}

function trafficTable(shares: Traffic | readonly Traffic[number][], columns?: number): string {
  return table(
    ['version', 'weight'],
    shares.map(({ version, weight }) => [`v${version}`, `${weight} %`]),
    columns,
  );
}
