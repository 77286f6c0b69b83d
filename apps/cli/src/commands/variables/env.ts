import type { Deployed } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import { Argument } from 'commander';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { EXIT, Failure, UsageFailure } from '../../failure.js';
import { requireFunctionName } from '../../function-reference.js';
import { formatOf, type OutputOptions, print } from '../../output/print.js';
import { parseAssignments, parseVariables } from '../../variables/parse-variables.js';
import { readText } from '../../variables/read-text.js';
import { variablesTable } from '../../variables/variables-table.js';
import { servingVersion } from '../../versions/serving-version.js';

const ACTIONS = ['ls', 'set', 'rm', 'import'] as const;
type Action = (typeof ACTIONS)[number];
type Env = Record<string, string>;

export function envCommand(session: Session): KilnCommand {
  return dataCommand('env', session)
    .summary('show or change a function’s variables')
    .description(
      'Shows a function’s variables, or changes some of them. A change makes a new version of the same image, which gets the traffic\n' +
        'when it is ready. Everybody with a key that may read sees the values; keep confidential ones with kiln secrets.\n' +
        'The next kiln deploy takes the variables from kiln.json again, so write there what shall stay.',
    )
    .argument('<name>', 'the function', requireFunctionName)
    .addArgument(new Argument('[action]', 'what to do').choices(ACTIONS).default('ls'))
    .argument('[values...]', 'set: NAME=value; rm: NAME; import: a file of NAME=value lines, - for stdin')
    .examples(
      ['kiln env hello ls', 'all variables, and the names of the secrets'],
      ['kiln env hello set GREETING=Hi COLOUR=red', 'two variables in one change'],
      ['kiln env hello rm COLOUR', 'remove one'],
      ['kiln env hello import production.env', 'add all of a file'],
    )
    .action((name: string, action: Action, values: string[], options: OutputOptions) => env(session, name, { action, values }, options));
}

type Change = { action: Action; values: readonly string[] };

async function env(session: Session, name: string, { action, values }: Change, options: OutputOptions): Promise<void> {
  // A wrong command fails before the first request.
  const change = action === 'ls' ? undefined : await changeOf(session, { action, values });
  if (action === 'ls' && values.length > 0) throw new UsageFailure('ls takes no values', `kiln env ${name} ls`);
  const client = connect(session);
  const [view, versions] = await Promise.all([client.functions.get(name), client.versions.list(name)]);
  const serving = servingVersion(view, versions);
  if (!serving) throw new KilnError('conflict', `"${name}" has no version that is ready`, { fix: 'deploy it again' });
  if (change === undefined) {
    const { version, config } = serving;
    const { env, secrets } = config;
    const isEmpty = Object.keys(env).length + secrets.length === 0;
    const next = `kiln env ${name} set NAME=value, or "env" in its kiln.json`;
    if (!isEmpty || formatOf(options, session.terminal) === 'json')
      print(session.terminal, options, { function: name, version, env, secrets }, (_, columns) => variablesTable(serving, columns));
    if (isEmpty) session.terminal.say(session.terminal.hint(`${name} has no variables and no secrets; next: ${next}`));
    return;
  }
  const deployed = await client.functions.patch(name, { env: change(serving.config.env, name) }, { revision: view.revision });
  print(session.terminal, options, deployed, () => session.terminal.hint(changedText(deployed)));
}

/** Returns a function that turns the present variables into the new ones. */
async function changeOf({ terminal }: Session, { action, values }: Change): Promise<(before: Env, name: string) => Env> {
  if (values.length === 0) throw new UsageFailure(`${action} needs at least one value`, 'see kiln env --help');
  if (action === 'rm') return (before, name) => without(before, values, name);
  if (action === 'set') {
    const set = parseAssignments(values);
    return (before) => ({ ...before, ...set });
  }
  const files = await Promise.all(values.map(async (file) => parseVariables(await readText(file, terminal.streams.stdin), file)));
  return (before) => Object.assign({}, before, ...files);
}

function without(before: Env, names: readonly string[], name: string): Env {
  const missing = names.filter((each) => !Object.hasOwn(before, each));
  if (missing.length > 0)
    throw new Failure(`${name} has no variable ${missing.join(', ')}`, `list its variables: kiln env ${name} ls`, EXIT.notFound);
  return Object.fromEntries(Object.entries(before).filter(([each]) => !names.includes(each)));
}

function changedText({ function: name, version, changed, rollback }: Deployed): string {
  if (!changed) return `${name} already has these variables, at version ${version}`;
  return `${name} serves the new variables as version ${version}${rollback === undefined ? '' : `; undo: ${rollback}`}`;
}
