import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { type ConfirmOptions, confirm } from '../../confirm.js';
import { connect } from '../../connection.js';
import { requireFunctionName } from '../../function-reference.js';
import { type OutputOptions, print } from '../../output/print.js';

export function rmCommand(session: Session): KilnCommand {
  return dataCommand('rm', session)
    .summary('remove a function')
    .description('Removes a function with all its versions. On a terminal the command asks first; elsewhere it needs --yes.')
    .argument('<name>', 'the function', requireFunctionName)
    .option('-y, --yes', 'do not ask')
    .examples(['kiln rm hello', 'ask first'], ['kiln rm hello --yes', 'do not ask'])
    .action(async (name: string, options: OutputOptions & ConfirmOptions) => {
      const { functions } = connect(session);
      // A function that does not exist needs no question.
      await functions.get(name);
      await confirm(session.terminal, options, `the function "${name}" with all its versions`, `kiln rm ${name}`);
      await functions.remove(name);
      print(session.terminal, options, { function: name, removed: true }, () => `removed ${name}`);
    });
}
