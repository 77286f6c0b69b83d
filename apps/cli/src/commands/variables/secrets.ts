import { KilnError } from '@kiln/contract/errors';
import type { RenewedFunction, SecretRecord, SecretsRotated, SecretsSet } from '@kiln/contract/records/secrets';
import type { Command } from 'commander';
import { dataCommand, examples, newCommand, type Session } from '../../command.js';
import { type ConfirmOptions, confirm } from '../../confirm.js';
import { connect } from '../../connection.js';
import { Failure } from '../../failure.js';
import { type OutputOptions, print, printList } from '../../output/print.js';
import { table } from '../../output/table.js';
import { age } from '../../output/units.js';
import { wrapWords } from '../../output/words.js';
import { parseVariables, requireVariableName } from '../../variables/parse-variables.js';
import { readText } from '../../variables/read-text.js';
import { readValue, type ValueSource } from '../../variables/secret-value.js';

export function secretsCommand(session: Session): Command {
  return newCommand('secrets', session)
    .summary('list, set and remove secrets')
    .description(
      'Secrets: values that functions get as variables and that nobody can read back. A function names those it wants under\n' +
        '"secrets" in its kiln.json. Setting one gives every function that serves with it a new version.',
    )
    .addCommand(lsSecrets(session))
    .addCommand(setSecret(session))
    .addCommand(importSecrets(session))
    .addCommand(removeSecret(session))
    .addCommand(rotateSecrets(session))
    .addHelpText(
      'after',
      examples([
        ['kiln secrets set DATABASE_URL', 'asks for the value, without showing it'],
        ['pass show db | kiln secrets set DATABASE_URL -', 'from another program'],
      ]),
    );
}

function lsSecrets(session: Session): Command {
  return dataCommand('ls', session)
    .summary('list the secrets')
    .description('Lists the secrets by name. Their values are shown to nobody.')
    .addHelpText('after', examples([['kiln secrets ls', 'all secrets']]))
    .action(async (options: OutputOptions) => {
      const empty = 'no secrets yet; next: kiln secrets set <NAME>, and name it under "secrets" in a kiln.json';
      printList(session.terminal, options, await connect(session).secrets.list(), { text: secretTable, empty });
    });
}

function setSecret(session: Session): Command {
  return (
    dataCommand('set', session)
      .summary('store a value under a name')
      .description(
        'Stores a value: asked for on a terminal, or read from stdin or a file, of which one line end at the end is left out. It is\n' +
          'never taken from the command itself, which the shell’s history and the list of processes would keep.',
      )
      .argument('<name>', 'letters, digits and _')
      // As many as there are: what is too much is not to be told back by the parser.
      .argument('[source...]', '- reads the value from stdin')
      .option('-f, --file <file>', 'read the value from a file')
      .addHelpText(
        'after',
        examples([
          ['kiln secrets set TOKEN', 'asks for it'],
          ['kiln secrets set TLS_KEY --file key.pem', 'from a file'],
          ['openssl rand -hex 32 | kiln secrets set SESSION_KEY -', 'from stdin'],
        ]),
      )
      .action(async (name: string, sources: string[], options: OutputOptions & Pick<ValueSource, 'file'>) => {
        const value = await readValue(session.terminal, name, { ...options, sources });
        show(session, options, await connect(session).secrets.set({ [name]: value }));
      })
  );
}

function importSecrets(session: Session): Command {
  return dataCommand('import', session)
    .summary('store all values of a .env file')
    .description('Stores every variable of a file of NAME=value lines as a secret, in one change: each function gets one new version.')
    .argument('<file>', 'the file, or - for stdin')
    .addHelpText('after', examples([['kiln secrets import .env', 'all of them']]))
    .action(async (file: string, options: OutputOptions) => {
      const values = parseVariables(await readText(file, session.terminal.streams.stdin), file);
      show(session, options, await connect(session).secrets.set(values));
    });
}

function removeSecret(session: Session): Command {
  return dataCommand('rm', session)
    .summary('remove a secret')
    .description(
      'Removes a secret with all its revisions; not while a function serves with it. On a terminal it asks first; elsewhere it\n' +
        'wants --yes.',
    )
    .argument('<name>', 'the secret')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples([['kiln secrets rm OLD_TOKEN', 'nobody can go back to it']]))
    .action(async (name: string, options: OutputOptions & ConfirmOptions) => {
      requireVariableName(name);
      const { secrets } = connect(session);
      if (!(await secrets.list()).some((secret) => secret.name === name)) {
        throw new KilnError('not_found', `there is no secret ${name}`, { fix: 'see which there are: kiln secrets ls' });
      }
      await confirm(session.terminal, options, { what: `the secret ${name}`, command: `kiln secrets rm ${name}` });
      await secrets.remove(name);
      print(session.terminal, options, { name, removed: true }, () => `removed secret ${name}`);
    });
}

function rotateSecrets(session: Session): Command {
  return dataCommand('rotate', session)
    .summary('seal all values with the new master key')
    .description(
      'Seals every value anew, after all routers and agents were started with a new KILN_MASTER_KEY and the old one as\n' +
        'KILN_MASTER_KEY_PREVIOUS. When it is done the old key is needed no more. May be run again wherever it was cut off.',
    )
    .addHelpText('after', examples([['kiln secrets rotate', 'SECURITY.md has all the steps']]))
    .action(async (options: OutputOptions) => {
      const rotated = await connect(session).secrets.rotate();
      print(session.terminal, options, rotated, rotatedText);
      if (rotated.unreadable.length === 0) return;
      throw new Failure(`no key at hand opens ${rotated.unreadable.join(', ')}`, 'set them again: kiln secrets set <name>');
    });
}

/** The value is stored whatever became of the functions; one that could not start with it is an error all the same. */
function show({ terminal }: Session, options: OutputOptions, set: SecretsSet): void {
  print(terminal, options, set, setText);
  const failed = set.functions.filter((each) => 'failed' in each).map((each) => each.function);
  if (failed.length === 0) return;
  throw new Failure(
    `${failed.join(', ')} could not start with it and serve on as before`,
    `see why: kiln logs ${failed[0]}; then set it again`,
  );
}

function setText({ secrets, functions }: SecretsSet): string {
  const stored = table(
    ['secret', 'revision'],
    secrets.map(({ name, revision }) => [name, revision]),
  );
  return functions.length === 0 ? stored : `${stored}\n\n${table(['function', 'now serves'], functions.map(renewedRow))}`;
}

function renewedRow(renewed: RenewedFunction): [string, string] {
  if ('failed' in renewed) return [renewed.function, `as before: ${renewed.failed.detail}`];
  return [renewed.function, renewed.versions.map((version) => `v${version}`).join(', ')];
}

function secretTable(secrets: readonly SecretRecord[], columns?: number): string {
  return table(
    ['secret', 'revision', 'age', 'changed'],
    secrets.map(({ name, revision, createdAt, updatedAt }) => [name, revision, age(createdAt), age(updatedAt)]),
    columns,
  );
}

function rotatedText({ keyId, resealed }: SecretsRotated, columns = Number.POSITIVE_INFINITY): string {
  const text = `${resealed} values sealed anew; all are sealed with the master key ${keyId} now`;
  return wrapWords(text, columns).join('\n');
}
