import { dataCommand, KilnCommand, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { UsageFailure } from '../../failure.js';
import { parseVersion, requireFunctionName } from '../../function-reference.js';
import { formatOf, type OutputOptions, print, printList } from '../../output/print.js';
import { rolloutText } from '../../rollout/rollout-text.js';
import { deploymentLines } from '../../versions/deployment-text.js';
import { historyOf, historyText, withDeployments } from '../../versions/history.js';

export function versionsCommand(session: Session): KilnCommand {
  return new KilnCommand('versions', session)
    .summary('show the history of a function')
    .description(
      'The versions of a function: `kiln versions <name>` lists them. Kept are the newest 20, those that have traffic or had it before\n' +
        'the last change, and those that are pinned; older ones go with the next deployment.',
    )
    .usage('<name> | pin <name> <version> | unpin <name> <version>')
    .addCommand(lsVersions(session), { isDefault: true })
    .addCommand(pinVersion(session, 'pin'))
    .addCommand(pinVersion(session, 'unpin'))
    .examples(
      ['kiln versions hello', 'its history'],
      ["kiln versions hello -o json | jq '.[0].changes'", 'what the newest changed in the configuration'],
      ['kiln versions pin hello 3', 'never remove version 3'],
    );
}

function lsVersions(session: Session): KilnCommand {
  return dataCommand('ls', session)
    .summary('list the versions')
    .description(
      'Lists the versions of a function, newest first: state, share of the traffic, when and with whose API key it was deployed,\n' +
        'image, message, and which keys of its configuration differ from the version before. Deployments that are under way or\n' +
        'failed are told of below; as JSON they are in `deployment` of their version, those without one in entries at the end.',
    )
    .argument('<name>', 'the function', requireFunctionName)
    .examples(['kiln versions hello', 'the same, shorter'])
    .action(async (name: string, options: OutputOptions) => {
      const { terminal } = session;
      const client = connect(session);
      const [records, deployments] = await Promise.all([client.versions.list(name), client.versions.deployments(name)]);
      // While its first version is built there is no function yet.
      const { traffic, rollout } = records.length === 0 ? { traffic: [] } : await client.functions.get(name);
      const empty = `${name} has no version; next: kiln deploy`;
      const history = historyOf(records, traffic);
      if (formatOf(options, terminal) === 'text') printList(terminal, options, history, historyText, empty);
      else printList(terminal, options, withDeployments(history, deployments), String, empty);
      for (const line of deploymentLines(deployments)) terminal.say(line);
      if (rollout !== undefined) terminal.say(`rollout of ${rolloutText(rollout)}`);
    });
}

function pinVersion(session: Session, action: 'pin' | 'unpin'): KilnCommand {
  const pin = action === 'pin';
  return dataCommand(action, session)
    .summary(pin ? 'keep a version however old it is' : 'keep it no longer than others')
    .description(pin ? 'Keeps a version, however many come after it.' : 'Lets a version that was pinned go when its time comes.')
    .argument('<name>', 'the function', requireFunctionName)
    .argument('<version>', 'its number')
    .examples([`kiln versions ${action} hello 3`, pin ? 'never remove version 3' : 'version 3 may go'])
    .action(async (name: string, version: string, options: OutputOptions) => {
      const number = parseVersion(version);
      if (number === undefined) throw new UsageFailure(`"${version}" is no version's number`, `see which there are: kiln versions ${name}`);
      const { pins } = connect(session);
      const record = await (pin ? pins.add(name, number) : pins.remove(name, number));
      print(session.terminal, options, record, () => `version ${number} of ${name} is ${pin ? 'pinned' : 'not pinned any more'}`);
    });
}
