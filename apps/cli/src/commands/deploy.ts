import { versionMessage } from '@kiln/contract/records';
import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../command.js';
import { connect } from '../connection.js';
import { deployAll, failed, type Outcome, prepare, succeeded } from '../deploy/deploy-function.js';
import { outcomesText } from '../deploy/outcomes.js';
import { EXIT, Failure, UsageFailure } from '../failure.js';
import { formatOf, type OutputOptions, printLine } from '../output/print.js';

interface DeployOptions extends OutputOptions {
  name?: string;
  message?: string;
}

export function deployCommand(session: Session): Command {
  return dataCommand('deploy', session)
    .summary('build a folder and put it into service')
    .description(
      'Sends a folder, builds it, proves that it starts, and gives it the traffic. If that fails, what served before goes on serving.\n' +
        'The folder holds a Node module, or a Dockerfile; kiln.json may name and configure it. Left out are .git, node_modules and what\n' +
        '.dockerignore and .kilnignore name. JSON output has one object per function deployed, a line each.',
    )
    .argument('[dir]', 'the folder', '.')
    .option('--name <name>', 'deploy under this name instead of the one in kiln.json or of the folder')
    .option('-m, --message <text>', 'why, in one line: shown by kiln versions')
    .addHelpText(
      'after',
      examples([
        ['kiln deploy', 'the current folder'],
        ['kiln deploy hello --name hello-staging', 'the same code under another name'],
        ['kiln deploy -m "faster search"', 'with a line for the history'],
        ['kiln deploy hello -o json | jq -r .url', 'its address'],
      ]),
    )
    .action((dir: string, options: DeployOptions) => deploy(session, dir, options));
}

async function deploy(session: Session, dir: string, options: DeployOptions): Promise<void> {
  const { terminal } = session;
  const message = requireMessage(options.message);
  const ready = await prepare(dir, options.name);
  const outcomes = await deployAll(ready, connect(session), (line) => terminal.say(line), message);
  const deployed = outcomes.filter(succeeded);
  const format = formatOf(options, terminal);
  if (format === 'json') for (const one of deployed) printLine(terminal, format, one, () => '');
  else if (deployed.length > 0) terminal.data(outcomesText(outcomes));
  refuseFailures(outcomes);
}

/** @throws UsageFailure for what the history can't show, before anything is sent */
function requireMessage(message: string | undefined): string | undefined {
  if (message === undefined || versionMessage.safeParse(message).success) return message;
  throw new UsageFailure('the message must be one line of 1 to 200 characters', 'as in: kiln deploy -m "faster search"');
}

function refuseFailures(outcomes: readonly Outcome[]): void {
  const failures = outcomes.filter(failed);
  const [first] = failures;
  if (!first) return;
  const { error } = first;
  const one = outcomes.length === 1;
  const message = failures.map((failure) => `${failure.function} was not deployed: ${failure.error.message}`).join('\n');
  const fix = error.fix.replaceAll('<function>', first.function);
  throw one ? new Failure(message, fix, error.exitCode, error.code) : new Failure(message, fix, EXIT.failed);
}
