import type { KilnClient } from '@kiln/client/client';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { confirm } from '../../confirm.js';
import { connect } from '../../connection.js';
import { buildHere } from '../../deploy/build-here.js';
import { messageOfHead } from '../../deploy/commit.js';
import { type Deploy, type DeployOutcome, deployAll, failed, sendTo, type VersionNotes } from '../../deploy/deploy-function.js';
import type { DeployedFunction } from '../../deploy/deployed-function.js';
import { interruptedDeploy } from '../../deploy/interrupted.js';
import { addDeployOptions, type DeployFlags, soundOptions } from '../../deploy/options/deploy-options.js';
import { chooseRegistry } from '../../deploy/options/registry-options.js';
import { type PreparedFunction, prepare } from '../../deploy/prepare.js';
import { findPruned, removeAll } from '../../deploy/prune.js';
import { intended, intendedText } from '../../deploy/show/dry-run.js';
import { GithubLog, messageOfRun } from '../../deploy/show/github.js';
import { outcomesText } from '../../deploy/show/outcomes.js';
import { Failure } from '../../failure.js';
import { printLines } from '../../output/print.js';

export function deployCommand(session: Session): KilnCommand {
  const command = dataCommand('deploy', session)
    .summary('build what changed and deploy it')
    .description(
      'Sends a folder, builds it, checks that it starts, and gives it the traffic. If that fails, the old version keeps serving.\n' +
        'The folder holds a module of Node or Python, a web app, a Go or Rust program, files with an index.html, or a Dockerfile;\n' +
        'kiln.json may name and configure it. If the folder is no function itself, every folder below it with a kiln.json is\n' +
        'deployed: a few at once, and one that fails does not stop the others. A function that has not changed is neither sent nor\n' +
        'built. Never sent: .git, .env, node_modules, and what .dockerignore and .kilnignore name. JSON output has one line per\n' +
        'function.',
    )
    .argument('[dir]', 'the folder', '.');
  return addDeployOptions(command)
    .examples(
      ['kiln deploy', 'the current folder, or all functions below it'],
      ['kiln deploy hello --name hello-staging', 'the same code under another name'],
      ['kiln deploy -m "faster search"', 'with your own line in the history'],
      ['kiln deploy --only web,api', 'two functions of a repository'],
      ['kiln deploy --build-arg VERSION=1.4', 'with an ARG of its Dockerfile'],
      ['kiln deploy --build-secret npmrc=.npmrc', 'with a login that stays out of the image'],
      ['kiln deploy --prune --dry-run', 'show what would be built and removed'],
      ['kiln deploy --local --registry ghcr.io/me/kiln', 'build on this machine, push to a registry'],
      ['kiln deploy hello -o json | jq -r .url', 'print its address'],
    )
    .action((dir: string, options: DeployFlags) => runDeploy(session, dir, soundOptions(options)));
}

async function runDeploy(session: Session, dir: string, options: DeployFlags): Promise<void> {
  const { terminal } = session;
  const candidates = await prepare(dir, options);
  const client = connect(session);
  const pruned = options.prune ? await findPruned(client, candidates) : [];
  if (options.dryRun) return showIntended(session, candidates, pruned, options);
  if (pruned.length > 0) {
    const what = pruned.length === 1 ? `the function "${pruned[0]}"` : `the functions ${pruned.join(', ')}`;
    await confirm(terminal, options, `${what} with all versions`, 'kiln deploy --prune');
  }
  const github = options.ci && session.config.GITHUB_ACTIONS === 'true' ? new GithubLog(session.config, terminal) : undefined;
  const how = await versionNotes(session, dir, options);
  const before = new Map<string, DeployedFunction | undefined>();
  const deploy = await howToDeploy(session, client, options, how);
  // After an interruption, the command still has to report what the cluster did.
  terminal.endsItself = true;
  terminal.mayBeLeft = true;
  const outcomes = await deployAll(candidates, {
    client,
    deploy,
    how,
    force: options.force,
    signal: terminal.interrupted,
    log: github ?? terminal,
    verbose: options.verbose || github !== undefined,
    onBefore: (name, known) => before.set(name, known),
    status: (text) => terminal.status(text),
  });
  if (terminal.interrupted.aborted) throw await interruptedDeploy(client, before, outcomes);
  terminal.endsItself = false;
  // Removes functions last: a new function may replace a removed one.
  if (!outcomes.some(failed)) outcomes.push(...(await removeAll(client, pruned)));
  github?.finish(outcomes);
  show(session, outcomes, options);
  refuseFailures(outcomes);
}

async function versionNotes({ config }: Session, dir: string, options: DeployFlags): Promise<VersionNotes> {
  const message = options.message ?? (await messageOfHead(dir, config)) ?? (options.ci ? messageOfRun(config) : undefined);
  return { message, traffic: options.traffic ? undefined : 'none' };
}

async function howToDeploy({ config, terminal }: Session, client: KilnClient, options: DeployFlags, how: VersionNotes): Promise<Deploy> {
  if (!options.local && !options.ci) return sendTo(client, { ...how, signal: terminal.interrupted });
  const registry = await chooseRegistry(config, options);
  return buildHere({ client, dockerHost: config.DOCKER_HOST, registry, how, signal: terminal.interrupted });
}

async function showIntended(session: Session, candidates: PreparedFunction[], pruned: string[], options: DeployFlags): Promise<void> {
  const all = await intended(connect(session), candidates, options.force ?? false);
  all.push(...pruned.map((name) => ({ function: name, action: 'remove' as const })));
  printLines(session.terminal, options, all, () => intendedText(all, session.terminal.columns));
}

function show({ terminal }: Session, outcomes: readonly DeployOutcome[], options: DeployFlags): void {
  const done = outcomes.filter((outcome) => !failed(outcome));
  if (done.length === 0) return;
  printLines(terminal, options, done, () => terminal.hint(outcomesText(outcomes, terminal.columns, options.traffic)));
}

function refuseFailures(outcomes: readonly DeployOutcome[]): void {
  const failures = outcomes.filter(failed);
  const [first] = failures;
  if (!first) return;
  const message = failures.map((failure) => `${failure.function} was not deployed: ${failure.error.message}`).join('\n');
  const fix = first.error.fix.replaceAll('<function>', first.function);
  throw outcomes.length === 1 ? new Failure(message, fix, first.error.exitCode, first.error.code) : new Failure(message, fix);
}
