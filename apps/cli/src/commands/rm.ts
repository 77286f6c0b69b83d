import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../command.js';
import { connect } from '../connection.js';
import { Failure, UsageFailure } from '../failure.js';
import { requireFunctionName } from '../function-reference.js';
import { type OutputOptions, print } from '../output/print.js';

interface RmOptions extends OutputOptions {
  yes?: boolean;
}

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
    .action((name: string, options: RmOptions) => rm(session, name, options));
}

async function rm(session: Session, name: string, options: RmOptions): Promise<void> {
  const { terminal } = session;
  requireFunctionName(name);
  if (!options.yes) {
    if (!terminal.canAsk) {
      throw new UsageFailure(`removing "${name}" needs a yes, and there is no terminal to ask on`, `kiln rm ${name} --yes`);
    }
    const answer = await terminal.ask(`Remove the function "${name}" with all its versions? [y/N] `);
    if (!/^y(es)?$/i.test(answer)) throw new Failure(`"${name}" was not removed`, `answer y, or: kiln rm ${name} --yes`);
  }
  await connect(session).functions.remove(name);
  print(terminal, options, { name, removed: true }, () => `removed ${name}`);
}
