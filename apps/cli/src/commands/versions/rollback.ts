import type { FunctionView } from '@kiln/contract/api/control-api';
import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { parseReference } from '../../function-reference.js';
import { type OutputOptions, print } from '../../output/print.js';
import { trafficText } from '../../versions/traffic-text.js';

export function rollbackCommand(session: Session): Command {
  return dataCommand('rollback', session)
    .summary('go back to an earlier version')
    .description('Moves a function’s traffic back to what it was before its last change, or all of it to one version. Nothing is built.')
    .argument('<name[@version]>', 'the function, or the version that shall get all traffic')
    .addHelpText(
      'after',
      examples([
        ['kiln rollback hello', 'undo the last deployment or change of traffic'],
        ['kiln rollback hello@2', 'version 2 for everybody'],
      ]),
    )
    .action((reference: string, options: OutputOptions) => rollback(session, reference, options));
}

async function rollback(session: Session, reference: string, options: OutputOptions): Promise<void> {
  const { name, version } = parseReference(reference);
  print(session.terminal, options, await connect(session).rollback(name, version), rolledBackText);
}

function rolledBackText({ name, traffic }: FunctionView): string {
  return `${name} is back at ${trafficText(traffic)}`;
}
