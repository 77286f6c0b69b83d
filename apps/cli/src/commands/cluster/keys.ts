import type { KeyView } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import { type Scope, scope } from '@kiln/contract/records/records';
import { type Command, Option } from 'commander';
import { dataCommand, examples, newCommand, type Session } from '../../command.js';
import { type ConfirmOptions, confirm } from '../../confirm.js';
import { connect } from '../../connection.js';
import { type OutputOptions, print, printList } from '../../output/print.js';
import { table } from '../../output/table.js';
import { age } from '../../output/units.js';

export function keysCommand(session: Session): Command {
  return newCommand('keys', session)
    .summary('list, create and remove API keys')
    .description('API keys. Each has one or more scopes: admin (everything), deploy, read, invoke.')
    .addCommand(lsKeys(session))
    .addCommand(createKey(session))
    .addCommand(removeKey(session))
    .addHelpText('after', examples([['kiln keys create ci --scope deploy', 'a key for a pipeline']]));
}

function lsKeys(session: Session): Command {
  return dataCommand('ls', session)
    .summary('list the keys')
    .description('Lists the keys by id. The keys themselves are stored nowhere and are never shown again.')
    .addHelpText('after', examples([['kiln keys ls', 'all keys']]))
    .action(async (options: OutputOptions) => {
      const empty = 'no keys but the one of kiln up; next: kiln keys create <name> --scope deploy';
      printList(session.terminal, options, await connect(session).keys.list(), { text: keyTable, empty });
    });
}

interface CreateOptions extends OutputOptions {
  scope: Scope[];
}

function createKey(session: Session): Command {
  return dataCommand('create', session)
    .summary('make a key and show it, this once')
    .description('Makes a key. It is shown this once and can not be read back.')
    .argument('<name>', 'what it is for')
    .addOption(new Option('-s, --scope <scope...>', 'what it may do').choices(scope.options).makeOptionMandatory())
    .addHelpText(
      'after',
      examples([
        ['kiln keys create ci --scope deploy read', 'two scopes'],
        ['KEY=$(kiln keys create app -s invoke -o text)', 'keep it in a variable'],
      ]),
    )
    .action(async (name: string, options: CreateOptions) => {
      const created = await connect(session).keys.create({ name, scopes: [...new Set(options.scope)] });
      print(session.terminal, options, created, ({ apiKey }) => apiKey);
      session.terminal.sayProse(`made key ${created.id} (${created.scopes.join(', ')}): keep it now, it is not shown again`);
    });
}

function removeKey(session: Session): Command {
  return dataCommand('rm', session)
    .summary('remove a key')
    .description('Removes a key: whoever uses it is refused from then on. On a terminal it asks first; elsewhere it wants --yes.')
    .argument('<id>', "the key's id, from kiln keys ls")
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples([['kiln keys rm 4fJx02kQpLmN', 'by the id that kiln keys ls shows']]))
    .action(async (id: string, options: OutputOptions & ConfirmOptions) => {
      const { keys } = connect(session);
      const there = await keys.list();
      if (!there.some((key) => key.id === id)) {
        throw new KilnError('not_found', `there is no key ${id}`, { fix: 'see which there are: kiln keys ls' });
      }
      await confirm(session.terminal, options, { what: `the key ${id}`, command: `kiln keys rm ${id}` });
      await keys.remove(id);
      print(session.terminal, options, { id, removed: true }, () => `removed key ${id}`);
    });
}

function keyTable(keys: readonly KeyView[], columns?: number): string {
  return table(
    ['id', 'name', 'scopes', 'age'],
    keys.map(({ id, name, scopes, createdAt }) => [id, name, scopes.join(', '), age(createdAt)]),
    columns,
  );
}
