import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { type FunctionReference, parseReference } from '../../function-reference.js';
import { type OutputOptions, print } from '../../output/print.js';
import { trafficText } from '../../versions/traffic-text.js';

export function rollbackCommand(session: Session): KilnCommand {
  return dataCommand('rollback', session)
    .summary('go back to an earlier version')
    .description('Gives a function the traffic that it had before the last change, or gives all traffic to one version. Builds nothing.')
    .argument('<name[@version]>', 'the function, or the version that shall get all traffic', parseReference)
    .examples(
      ['kiln rollback hello', 'undo the last deployment or change of traffic'],
      ['kiln rollback hello@2', 'all traffic to version 2'],
    )
    .action(async ({ name, version }: FunctionReference, options: OutputOptions) => {
      const rolledBack = await connect(session).rollback(name, version);
      print(session.terminal, options, rolledBack, ({ traffic }) => `${name} is back at ${trafficText(traffic)}`);
    });
}
