import type { BuildArgs } from '@kiln/contract/build-args';
import { projectName } from '@kiln/contract/names';
import { versionMessage } from '@kiln/contract/records';
import { type Command, InvalidArgumentError } from 'commander';
import { dataCommand, examples, type Session } from '../command.js';
import { type ConfirmOptions, confirm } from '../confirm.js';
import { connect } from '../connection.js';
import { addBuildArg } from '../deploy/build-args.js';
import { deployAll, failed, type Outcome, sendTo } from '../deploy/deploy-function.js';
import { intended, intendedText } from '../deploy/dry-run.js';
import { outcomesText } from '../deploy/outcomes.js';
import { type Candidate, prepare } from '../deploy/prepare.js';
import { findPruned, removeAll } from '../deploy/prune.js';
import { EXIT, Failure, UsageFailure } from '../failure.js';
import { formatOf, type OutputOptions, printLine } from '../output/print.js';

interface DeployOptions extends OutputOptions, ConfirmOptions {
  name?: string;
  message?: string;
  traffic: boolean;
  project?: string;
  only?: string[];
  buildArg?: BuildArgs;
  prune?: boolean;
  dryRun?: boolean;
  force?: boolean;
}

export function deployCommand(session: Session): Command {
  return dataCommand('deploy', session)
    .summary('build what changed and put it into service')
    .description(
      'Sends a folder, builds it, proves that it starts, and gives it the traffic. If that fails, what served before goes on serving.\n' +
        'The folder holds a Node module, or a Dockerfile; kiln.json may name and configure it. A folder that is no function itself\n' +
        'stands for all folders below it that have a kiln.json. What serves already is neither sent nor built again. Left out are\n' +
        '.git, .env, node_modules and what .dockerignore and .kilnignore name. JSON output has one object per function, a line each.',
    )
    .argument('[dir]', 'the folder', '.')
    .option('--name <name>', 'deploy under this name instead of the one in kiln.json or of the folder')
    .option('-m, --message <text>', 'why, in one line: shown by kiln versions')
    .option('--no-traffic', 'prove it ready and give it no traffic yet: kiln rollout or kiln traffic does')
    .option('--only <names>', 'these functions and no others, with commas between them', nameList)
    .option('--build-arg <name=value>', 'for the steps of the Dockerfile; may be repeated, and is readable in the image', addBuildArg)
    .option('--dry-run', 'say what would be built, changed and removed, and do nothing')
    .option('--force', 'send and build what has not changed, too')
    .option('--project <name>', 'what the functions belong to, instead of "project" in kiln.json', project)
    .option('--prune', 'remove functions that the same project deployed earlier and does not declare any more')
    .option('-y, --yes', 'do not ask before a removal')
    .addHelpText(
      'after',
      examples([
        ['kiln deploy', 'the current folder, or what changed below it'],
        ['kiln deploy hello --name hello-staging', 'the same code under another name'],
        ['kiln deploy -m "faster search"', 'with a line for the history'],
        ['kiln deploy --only web,api', 'two functions of a repository'],
        ['kiln deploy --build-arg VERSION=1.4', 'with an ARG of its Dockerfile'],
        ['kiln deploy --prune --dry-run', 'what would be built, and what removed'],
        ['kiln deploy hello -o json | jq -r .url', 'its address'],
      ]),
    )
    .action((dir: string, options: DeployOptions) => deploy(session, dir, options));
}

async function deploy(session: Session, dir: string, options: DeployOptions): Promise<void> {
  const { terminal } = session;
  if (options.prune && options.only)
    throw new UsageFailure('--prune looks at all functions, and --only names some', 'leave one of them out');
  const message = requireMessage(options.message);
  const candidates = await prepare(dir, { ...options, buildArgs: options.buildArg });
  const client = connect(session);
  const pruned = options.prune ? await findPruned(client, candidates) : [];
  if (options.dryRun) return showIntended(session, candidates, pruned, options);
  if (pruned.length > 0) {
    const what = pruned.length === 1 ? `the function "${pruned[0]}"` : `the functions ${pruned.join(', ')}`;
    await confirm(terminal, options, { what: `${what} with all versions`, command: 'kiln deploy --prune' });
  }
  const outcomes = await deployAll(candidates, {
    client,
    deploy: sendTo(client, { ...(message !== undefined && { message }), ...(!options.traffic && { traffic: 'none' }) }),
    force: options.force,
    say: (line) => terminal.say(line),
  });
  // Whatever took the place of a removed function has to be there first.
  if (!outcomes.some(failed)) outcomes.push(...(await removeAll(client, pruned)));
  show(session, outcomes, options);
  refuseFailures(outcomes);
}

/** @throws UsageFailure for what the history can't show, before anything is sent */
function requireMessage(message: string | undefined): string | undefined {
  if (message === undefined || versionMessage.safeParse(message).success) return message;
  throw new UsageFailure('the message must be one line of 1 to 200 characters', 'as in: kiln deploy -m "faster search"');
}

async function showIntended(session: Session, candidates: Candidate[], pruned: string[], options: DeployOptions): Promise<void> {
  const { terminal } = session;
  const all = await intended(connect(session), candidates, options.force ?? false);
  all.push(...pruned.map((name) => ({ function: name, action: 'remove' as const })));
  const format = formatOf(options, terminal);
  if (format === 'json') for (const one of all) printLine(terminal, format, one, () => '');
  else terminal.data(intendedText(all));
}

function show({ terminal }: Session, outcomes: readonly Outcome[], options: OutputOptions): void {
  const done = outcomes.filter((outcome) => !failed(outcome));
  const format = formatOf(options, terminal);
  if (format === 'json') for (const one of done) printLine(terminal, format, one, () => '');
  else if (done.length > 0) terminal.data(outcomesText(outcomes));
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

function nameList(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function project(text: string): string {
  const parsed = projectName.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError(`It ${parsed.error.issues[0]?.message}.`);
  return parsed.data;
}
