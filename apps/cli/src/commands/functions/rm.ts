import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../../command.js';
import { type ConfirmOptions, confirm } from '../../confirm.js';
import { connect } from '../../connection.js';
import { requireFunctionName } from '../../function-reference.js';
import { type OutputOptions, print } from '../../output/print.js';

export function rmCommand(session: Session): Command {
  return dataCommand('rm', session)
    .summary('remove a function')
    .description('Removes a function with all its versions. On a terminal it asks first; elsewhere it wants --yes.')
    .argument('<name>', 'the function')
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      examples([
        ['kiln rm hello', 'asks first'],
        ['kiln rm hello --yes', 'does not ask'],
      ]),
    )
    .action((name: string, options: OutputOptions & ConfirmOptions) => rm(session, requireFunctionName(name), options));
}

async function rm(session: Session, name: string, options: OutputOptions & ConfirmOptions): Promise<void> {
  const { functions } = connect(session);
  // Nobody is asked about what is not there.
  await functions.get(name);
  await confirm(session.terminal, options, { what: `the function "${name}" with all its versions`, command: `kiln rm ${name}` });
  await functions.remove(name);
  print(session.terminal, options, { function: name, removed: true }, () => `removed ${name}`);
}
