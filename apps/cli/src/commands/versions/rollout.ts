import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { requireFunctionName } from '../../function-reference.js';
import { type OutputOptions, print } from '../../output/print.js';
import { DEFAULTS, parseRollout, type RolloutOptions } from '../../rollout/parse-rollout.js';
import { rolloutText } from '../../rollout/rollout-text.js';
import { waitForRollout } from '../../rollout/wait-for-rollout.js';

export function rolloutCommand(session: Session): KilnCommand {
  return dataCommand('rollout', session)
    .summary('give a version the traffic in stages')
    .description(
      'Gives a version that is ready a share of the traffic, then more, then all. Each stage compares it with the versions that served\n' +
        'before. If it fails more requests, or is slower, by more than the limits, it loses the traffic at once. The routers run the\n' +
        'rollout; the command only waits, and exits with 1 if the version lost the traffic. A manual change of the traffic ends it.',
    )
    .argument('<name>', 'the function', requireFunctionName)
    .argument('[version]', 'the version, for example 3; "latest" is the newest that is ready', 'latest')
    .option(
      '--stage <weight,duration>',
      `a stage, for example 10,5m; may be repeated (default: ${DEFAULTS.stages.join(' ')})`,
      (stage: string, before: string[] = []) => [...before, stage],
    )
    .option('--max-errors <points>', `how many percentage points more of its requests may fail (default: ${DEFAULTS.maxErrors}%)`)
    .option('--max-p95 <factor>', `how many times as long its slowest 5 % may take (default: ${DEFAULTS.maxP95}x)`)
    .option(
      '--min-requests <count>',
      `requests that a stage needs on each side to be judged; 4 times as many for durations (default: ${DEFAULTS.minRequests})`,
    )
    .option('--no-wait', 'start it and do not wait for its end')
    .examples(
      ['kiln deploy --no-traffic && kiln rollout hello', 'roll out a new version'],
      ['kiln rollout hello 4 --stage 10,5m --stage 50,10m', 'version 4, with your own stages'],
      ['kiln rollout hello --max-errors 0.5% --max-p95 1.2x', 'with stricter limits'],
      ['kiln rollback hello', 'end it and return to the traffic before'],
    )
    .action(async (name: string, version: string, options: RolloutOptions & OutputOptions & { wait: boolean }) => {
      const request = parseRollout(name, version, options);
      const client = connect(session);
      const begun = await client.rollout(name, request);
      const ended = options.wait ? await waitForRollout(client, begun, (line) => session.terminal.say(line)) : begun;
      print(session.terminal, options, ended, ({ rollout: last }) => `${name} ${last ? rolloutText(last) : 'has had no rollout'}`);
    });
}
