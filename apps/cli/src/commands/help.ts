import { nearest } from '@kiln/contract/config/known-keys';
import type { Command } from 'commander';
import { type KilnCommand, newCommand, type Session } from '../command.js';
import { UsageFailure } from '../failure.js';

export function helpCommand(session: Session, program: KilnCommand): KilnCommand {
  return newCommand('help', session)
    .summary('show the help of a command')
    .description('Shows the help of a command, or of all.')
    .argument('[command...]', 'the command, and one of its own')
    .action((names: string[]) => find(program, names).outputHelp());
}

/** @throws UsageFailure that suggests a similar name */
function find(program: Command, names: readonly string[]): Command {
  let found = program;
  for (const name of names) {
    const next = found.commands.find((each) => each.name() === name);
    if (next === undefined) throw unknown(found, name);
    found = next;
  }
  return found;
}

function unknown(of: Command, name: string): UsageFailure {
  const names = of.commands.map((each) => each.name());
  const meant = nearest(name, names);
  const path = of.parent === null ? 'kiln' : `kiln ${of.name()}`;
  const all = `list its commands: ${path} --help`;
  return new UsageFailure(`${path} has no command "${name}"`, meant === undefined ? all : `did you mean "${meant}"? ${all}`);
}
