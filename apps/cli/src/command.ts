import { Command, type CommanderError, Option } from 'commander';
import type { Config } from './config.js';
import { UsageFailure } from './failure.js';
import type { Terminal } from './terminal.js';

/** What every command has at hand. */
export interface Session {
  readonly config: Config;
  readonly terminal: Terminal;
}

/** A command with what all of ours share: errors thrown to the one place that tells them, suggestions, help as data. */
export function newCommand(name: string, { terminal }: Session): Command {
  const command = new Command(name);
  return (
    command
      .exitOverride((error) => refuse(command, error))
      .configureOutput({
        writeOut: (text) => terminal.data(text.replace(/\n+$/, '')),
        writeErr: (text) => terminal.say(text.replace(/\n+$/, '')),
        // Told with its next step, once, where all errors are.
        outputError: () => {},
        getOutHasColors: () => false,
        getErrHasColors: () => false,
      })
      // Wrapped by the terminal's width alone: where a line ends in the source means nothing.
      .configureHelp({ commandDescription: (of) => of.description().replaceAll('\n', ' ') })
      .showSuggestionAfterError()
      .allowExcessArguments(false)
      .helpOption('-h, --help', 'show this help')
  );
}

/** @throws UsageFailure that leads to the command's own help; what shows help is left as it is */
function refuse(command: Command, error: CommanderError): never {
  if (error.exitCode === 0 || error.code === 'commander.help') throw error;
  const names: string[] = [];
  for (let each: Command | null = command; each !== null; each = each.parent) names.unshift(each.name());
  const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  throw new UsageFailure(message, `see how it is used: ${names.join(' ')} --help`);
}

/** The same with `-o`, for a command that prints data. */
export function dataCommand(name: string, session: Session): Command {
  return newCommand(name, session).addOption(
    new Option('-o, --output <format>', 'how data is printed (default: text on a terminal, else json)').choices(['text', 'json']),
  );
}

/** Examples at the end of a command's help: the line, and what it does. */
export function examples(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([line]) => line.length));
  return `\nExamples:\n${lines.map(([line, meaning]) => `  $ ${line.padEnd(width)}  ${meaning}`).join('\n')}`;
}
