import type { KeyView } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import { type Scope, scope } from '@kiln/contract/records/records';
import { Option } from 'commander';
import { dataCommand, KilnCommand, type Session } from '../../command.js';
import { type ConfirmOptions, confirm } from '../../confirm.js';
import { connect } from '../../connection.js';
import { type OutputOptions, print, printList } from '../../output/print.js';
import { tableOf } from '../../output/table.js';
import { age } from '../../output/units.js';

export function keysCommand(session: Session): KilnCommand {
  return new KilnCommand('keys', session)
    .summary('list, create and remove API keys')
    .description('API keys. Each has one or more scopes: admin (everything), deploy, read, invoke.')
    .addCommand(lsKeys(session))
    .addCommand(createKey(session))
    .addCommand(removeKey(session))
    .examples(['kiln keys create ci --scope deploy', 'a key for a pipeline']);
}

function lsKeys(session: Session): KilnCommand {
  return dataCommand('ls', session)
    .summary('list the keys')
    .description('Lists the keys by id. The keys themselves are not stored and are never shown again.')
    .examples(['kiln keys ls', 'all keys'])
    .action(async (options: OutputOptions) => {
      const empty = 'no keys but the one of kiln up; next: kiln keys create <name> --scope deploy';
      printList(session.terminal, options, await connect(session).keys.list(), keyTable, empty);
    });
}

function createKey(session: Session): KilnCommand {
  return dataCommand('create', session)
    .summary('create a key and show it once')
    .description('Creates a key and shows it once. Nobody can read it again.')
    .argument('<name>', 'what the key is for')
    .addOption(new Option('-s, --scope <scope...>', 'what the key may do').choices(scope.options).makeOptionMandatory())
    .examples(
      ['kiln keys create ci --scope deploy read', 'two scopes'],
      ['KEY=$(kiln keys create app -s invoke -o text)', 'store it in a variable'],
    )
    .action(async (name: string, options: OutputOptions & { scope: Scope[] }) => {
      const created = await connect(session).keys.create({ name, scopes: [...new Set(options.scope)] });
      print(session.terminal, options, created, ({ apiKey }) => apiKey);
      session.terminal.sayProse(`created key ${created.id} (${created.scopes.join(', ')}): store it now, it is not shown again`);
    });
}

function removeKey(session: Session): KilnCommand {
  return dataCommand('rm', session)
    .summary('remove a key')
    .description(
      'Removes a key: requests with it are refused from then on. On a terminal the command asks first; elsewhere it needs --yes.',
    )
    .argument('<id>', "the key's id, from kiln keys ls")
    .option('-y, --yes', 'do not ask')
    .examples(['kiln keys rm 4fJx02kQpLmN', 'kiln keys ls shows the id'])
    .action(async (id: string, options: OutputOptions & ConfirmOptions) => {
      const { keys } = connect(session);
      const there = await keys.list();
      if (!there.some((key) => key.id === id)) {
        throw new KilnError('not_found', `there is no key ${id}`, { fix: 'list the keys: kiln keys ls' });
      }
      await confirm(session.terminal, options, `the key ${id}`, `kiln keys rm ${id}`);
      await keys.remove(id);
      print(session.terminal, options, { id, removed: true }, () => `removed key ${id}`);
    });
}

const keyTable = tableOf(['id', 'name', 'scopes', 'age'], (key: KeyView) => [key.id, key.name, key.scopes.join(', '), age(key.createdAt)]);
