import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../command.js';
import { connect } from '../connection.js';
import { requireFunctionName } from '../function-reference.js';
import { type OutputOptions, print } from '../output/print.js';
import { rolloutText } from '../rollout/rollout-text.js';
import { historyOf, historyText } from '../versions/history.js';

export function versionsCommand(session: Session): Command {
  return dataCommand('versions', session)
    .summary('show the history of a function')
    .description(
      'Lists the versions of a function, newest first: state, share of the traffic, when and with whose API key it was deployed,\n' +
        'image, message, and which keys of its configuration differ from the version before.',
    )
    .argument('<name>', 'the function')
    .addHelpText(
      'after',
      examples([
        ['kiln versions hello', 'its history'],
        ["kiln versions hello -o json | jq '.[0].changes'", 'what the newest changed in the configuration'],
      ]),
    )
    .action((name: string, options: OutputOptions) => versions(session, requireFunctionName(name), options));
}

async function versions(session: Session, name: string, options: OutputOptions): Promise<void> {
  const client = connect(session);
  const [{ traffic, rollout }, records] = await Promise.all([client.functions.get(name), client.versions.list(name)]);
  print(session.terminal, options, historyOf(records, traffic), historyText);
  if (rollout !== undefined) session.terminal.say(`rollout of ${rolloutText(rollout)}`);
}
