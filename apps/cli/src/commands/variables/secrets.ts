import { KilnError } from '@kiln/contract/errors';
import type { RenewedFunction, SecretRecord, SecretsRotated, SecretsSet } from '@kiln/contract/records/secrets';
import { dataCommand, KilnCommand, type Session } from '../../command.js';
import { type ConfirmOptions, confirm } from '../../confirm.js';
import { connect } from '../../connection.js';
import { Failure } from '../../failure.js';
import { type OutputOptions, print, printList } from '../../output/print.js';
import { table, tableOf } from '../../output/table.js';
import { age } from '../../output/units.js';
import { wrapWords } from '../../output/words.js';
import { parseVariables, requireVariableName } from '../../variables/parse-variables.js';
import { readText } from '../../variables/read-text.js';
import { readValue, type ValueSource } from '../../variables/secret-value.js';

export function secretsCommand(session: Session): KilnCommand {
  return new KilnCommand('secrets', session)
    .summary('list, set and remove secrets')
    .description(
      'Secrets are values that functions get as variables and that nobody can read back. A function names its secrets under\n' +
        '"secrets" in its kiln.json. When you set a secret, every function that uses it gets a new version.',
    )
    .addCommand(lsSecrets(session))
    .addCommand(setSecret(session))
    .addCommand(importSecrets(session))
    .addCommand(removeSecret(session))
    .addCommand(rotateSecrets(session))
    .examples(
      ['kiln secrets set DATABASE_URL', 'asks for the value, without showing it'],
      ['pass show db | kiln secrets set DATABASE_URL -', 'from another program'],
    );
}

function lsSecrets(session: Session): KilnCommand {
  return dataCommand('ls', session)
    .summary('list the secrets')
    .description('Lists the secrets by name. Nobody can read their values.')
    .examples(['kiln secrets ls', 'all secrets'])
    .action(async (options: OutputOptions) => {
      const empty = 'no secrets yet; next: kiln secrets set <NAME>, and name it under "secrets" in a kiln.json';
      printList(session.terminal, options, await connect(session).secrets.list(), secretTable, empty);
    });
}

function setSecret(session: Session): KilnCommand {
  return (
    dataCommand('set', session)
      .summary('store a value under a name')
      .description(
        'Stores a value: asks for it on a terminal, or reads it from stdin or a file without the last line end. The value is\n' +
          'never an argument, because the shell’s history and the list of processes would show it.',
      )
      .argument('<name>', 'letters, digits and _')
      // Accepts any number: an error of the parser would repeat what may be the value.
      .argument('[source...]', '- reads the value from stdin')
      .option('-f, --file <file>', 'read the value from a file')
      .examples(
        ['kiln secrets set TOKEN', 'asks for it'],
        ['kiln secrets set TLS_KEY --file key.pem', 'from a file'],
        ['openssl rand -hex 32 | kiln secrets set SESSION_KEY -', 'from stdin'],
      )
      .action(async (name: string, sources: string[], options: OutputOptions & Pick<ValueSource, 'file'>) => {
        const value = await readValue(session.terminal, name, { ...options, sources });
        show(session, options, await connect(session).secrets.set({ [name]: value }));
      })
  );
}

function importSecrets(session: Session): KilnCommand {
  return dataCommand('import', session)
    .summary('store all values of a .env file')
    .description('Stores every variable of a file of NAME=value lines as a secret, in one change: each function gets one new version.')
    .argument('<file>', 'the file, or - for stdin')
    .examples(['kiln secrets import .env', 'store all of them'])
    .action(async (file: string, options: OutputOptions) => {
      const values = parseVariables(await readText(file, session.terminal.streams.stdin), file);
      show(session, options, await connect(session).secrets.set(values));
    });
}

function removeSecret(session: Session): KilnCommand {
  return dataCommand('rm', session)
    .summary('remove a secret')
    .description(
      'Removes a secret with all its revisions, unless a function uses it. On a terminal the command asks first; elsewhere it\n' +
        'needs --yes.',
    )
    .argument('<name>', 'the secret')
    .option('-y, --yes', 'do not ask')
    .examples(['kiln secrets rm OLD_TOKEN', 'its old revisions go too'])
    .action(async (name: string, options: OutputOptions & ConfirmOptions) => {
      requireVariableName(name);
      const { secrets } = connect(session);
      if (!(await secrets.list()).some((secret) => secret.name === name)) {
        throw new KilnError('not_found', `there is no secret ${name}`, { fix: 'list the secrets: kiln secrets ls' });
      }
      await confirm(session.terminal, options, `the secret ${name}`, `kiln secrets rm ${name}`);
      await secrets.remove(name);
      print(session.terminal, options, { name, removed: true }, () => `removed secret ${name}`);
    });
}

function rotateSecrets(session: Session): KilnCommand {
  return dataCommand('rotate', session)
    .summary('seal all values with the new master key')
    .description(
      'Seals every value again, after all routers and agents were restarted with a new KILN_MASTER_KEY and the old one as\n' +
        'KILN_MASTER_KEY_PREVIOUS. Afterwards nothing needs the old key. You can repeat the command after an interruption.',
    )
    .examples(['kiln secrets rotate', 'SECURITY.md has all the steps'])
    .action(async (options: OutputOptions) => {
      const rotated = await connect(session).secrets.rotate();
      print(session.terminal, options, rotated, rotatedText);
      if (rotated.unreadable.length === 0) return;
      throw new Failure(`no key of the routers opens ${rotated.unreadable.join(', ')}`, 'set them again: kiln secrets set <name>');
    });
}

/** Prints what was stored. The value stays stored even when a function cannot start with it. @throws Failure for such a function */
function show({ terminal }: Session, options: OutputOptions, set: SecretsSet): void {
  print(terminal, options, set, setText);
  const failed = set.functions.filter((each) => 'failed' in each).map((each) => each.function);
  if (failed.length === 0) return;
  const fix = `see why: kiln logs ${failed[0]}; then set it again`;
  throw new Failure(`${failed.join(', ')} could not start with it, and serve as before`, fix);
}

function setText({ secrets, functions }: SecretsSet): string {
  const rows = secrets.map(({ name, revision }) => [name, revision]);
  const stored = table(['secret', 'revision'], rows);
  return functions.length === 0 ? stored : `${stored}\n\n${table(['function', 'now serves'], functions.map(renewedRow))}`;
}

function renewedRow(renewed: RenewedFunction): [string, string] {
  if ('failed' in renewed) return [renewed.function, `as before: ${renewed.failed.detail}`];
  return [renewed.function, renewed.versions.map((version) => `v${version}`).join(', ')];
}

const secretTable = tableOf(['secret', 'revision', 'age', 'changed'], (secret: SecretRecord) => {
  return [secret.name, secret.revision, age(secret.createdAt), age(secret.updatedAt)];
});

function rotatedText({ keyId, resealed }: SecretsRotated, columns = Number.POSITIVE_INFINITY): string {
  return wrapWords(`${resealed} values sealed again; all are now sealed with the master key ${keyId}`, columns).join('\n');
}
