import type { KilnClient } from '@kiln/client/client';
import type { Traffic } from '@kiln/contract/records/traffic';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { requireFunctionName } from '../../function-reference.js';
import { type OutputOptions, print, printList } from '../../output/print.js';
import { tableOf } from '../../output/table.js';
import { parseShares, resolveShares, type Share } from '../../versions/parse-shares.js';
import { trafficText } from '../../versions/traffic-text.js';

export function trafficCommand(session: Session): KilnCommand {
  return dataCommand('traffic', session)
    .summary('show or set which versions get the traffic')
    .description(
      'Shows or sets how the requests of a function are shared among its versions. Weights are whole numbers that sum to 100;\n' +
        'versions that you leave out get nothing. Only ready versions can get traffic. Builds nothing.',
    )
    .argument('<name>', 'the function', requireFunctionName)
    .argument('[shares...]', 'version=weight; "latest" is the newest version that is ready')
    .option('--sticky', 'a cookie keeps each client on its first version, while that version has traffic')
    .option('--no-sticky', 'each request is drawn independently')
    .examples(
      ['kiln traffic hello', 'show the shares'],
      ['kiln traffic hello 3=90 latest=10', 'a tenth to the newest'],
      ['kiln traffic hello 3=90 latest=10 --sticky', 'the same, and clients keep their version'],
      ['kiln traffic hello latest=100', 'all to the newest'],
    )
    .action(async (name: string, texts: string[], options: OutputOptions & { sticky?: boolean }) => {
      const { terminal } = session;
      const { sticky } = options;
      const shares = parseShares(name, texts);
      const client = connect(session);
      if (shares.length === 0 && sticky === undefined) {
        const empty = `no version of ${name} has traffic; next: kiln versions ${name}`;
        printList(terminal, options, await client.traffic.get(name), trafficTable, empty);
        return;
      }
      const put = await client.traffic.put(name, await wanted(client, name, shares), { sticky });
      print(terminal, options, put, trafficTable);
      const drawn = sticky === undefined ? '' : sticky ? ', and clients keep their version' : ', drawn for each request';
      terminal.say(terminal.hint(`${name} is at ${trafficText(put)}${drawn}; undo: kiln rollback ${name}`));
    });
}

/** Lists the versions only when a share says "latest". */
async function wanted(client: KilnClient, name: string, shares: readonly Share[]): Promise<Traffic> {
  if (shares.length === 0) return client.traffic.get(name);
  const versions = shares.some(({ version }) => version === 'latest') ? await client.versions.list(name) : [];
  return resolveShares(name, shares, versions);
}

const trafficTable = tableOf(['version', 'weight'], ({ version, weight }: Traffic[number]) => [`v${version}`, `${weight} %`]);
