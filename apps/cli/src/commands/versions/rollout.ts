import type { FunctionView } from '@kiln/contract/api/control-api';
import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { requireFunctionName } from '../../function-reference.js';
import { type OutputOptions, print } from '../../output/print.js';
import { DEFAULTS, parseRollout, type RolloutOptions } from '../../rollout/parse-rollout.js';
import { rolloutText } from '../../rollout/rollout-text.js';
import { waitForRollout } from '../../rollout/wait-for-rollout.js';

interface RolloutCommandOptions extends OutputOptions, RolloutOptions {
  wait: boolean;
}

export function rolloutCommand(session: Session): Command {
  return dataCommand('rollout', session)
    .summary('give a version the traffic in stages')
    .description(
      'Gives a version that is ready a share of the traffic, then more, then all. In each stage it is compared with the versions that\n' +
        'served before: where it fails more requests, or is slower, by more than the limits, it is taken back at once. The routers see\n' +
        'to it: the command only waits, and ends with 1 where the version was taken back. Any change of the traffic by hand ends it.',
    )
    .argument('<name>', 'the function')
    .argument('[version]', 'the version, as 3; "latest" is the newest that is ready', 'latest')
    .option('--stage <weight,duration>', `a stage, as 10,5m; again for the next (default: ${DEFAULTS.stages.join(' ')})`, oneMore)
    .option('--max-errors <points>', `percentage points by which it may fail more requests (default: ${DEFAULTS.maxErrors}%)`)
    .option('--max-p95 <factor>', `how many times as long its slowest 5 % may take (default: ${DEFAULTS.maxP95}x)`)
    .option(
      '--min-requests <count>',
      `fewer in a stage, on either side, say nothing; of durations 4 times as many (default: ${DEFAULTS.minRequests})`,
    )
    .option('--no-wait', 'begin it, and do not wait for its end')
    .addHelpText(
      'after',
      examples([
        ['kiln deploy --no-traffic && kiln rollout hello', 'a new version, with care'],
        ['kiln rollout hello 4 --stage 10,5m --stage 50,10m', 'version 4, in stages of your own'],
        ['kiln rollout hello --max-errors 0.5% --max-p95 1.2x', 'with narrower limits'],
        ['kiln rollback hello', 'end it, back to what was before'],
      ]),
    )
    .action((name: string, version: string, options: RolloutCommandOptions) =>
      rollout(session, requireFunctionName(name), version, options),
    );
}

async function rollout(session: Session, name: string, version: string, options: RolloutCommandOptions): Promise<void> {
  const request = parseRollout(name, version, options);
  const client = connect(session);
  const begun = await client.rollout(name, request);
  const ended = options.wait ? await waitForRollout(client, begun, (line) => session.terminal.say(line)) : begun;
  print(session.terminal, options, ended, endedText);
}

function endedText({ name, rollout: last }: FunctionView): string {
  return `${name} ${last === undefined ? 'has had no rollout' : rolloutText(last)}`;
}

function oneMore(stage: string, before: string[] = []): string[] {
  return [...before, stage];
}
