import { nearest } from '@kiln/contract/config/known-keys';
import type { Command } from 'commander';
import { KilnCommand, type Session } from '../command.js';
import { UsageFailure } from '../failure.js';

export function helpCommand(session: Session, program: KilnCommand): KilnCommand {
  return new KilnCommand('help', session)
    .summary('show the help of a command')
    .description('Shows the help of a command, or of all.')
    .argument('[command...]', 'the command, and one of its own')
    .action((names: string[]) => find(program, names).outputHelp());
}

/** @throws UsageFailure that suggests a similar name */
function find(program: Command, names: readonly string[]): Command {
  return names.reduce((found, name) => found.commands.find((each) => each.name() === name) ?? refuse(found, name), program);
}

function refuse(of: Command, name: string): never {
  const names = of.commands.map((each) => each.name());
  const meant = nearest(name, names);
  const path = of.parent === null ? 'kiln' : `kiln ${of.name()}`;
  const all = `list its commands: ${path} --help`;
  throw new UsageFailure(`${path} has no command "${name}"`, meant === undefined ? all : `did you mean "${meant}"? ${all}`);
}
