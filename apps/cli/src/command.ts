import { Command, Option } from 'commander';
import type { Config } from './config.js';
import type { Terminal } from './terminal.js';

/** What every command has at hand. */
export interface Session {
  readonly config: Config;
  readonly terminal: Terminal;
}

/** A command with what all of ours share: errors thrown to the one place that tells them, suggestions, help as data. */
export function newCommand(name: string, { terminal }: Session): Command {
  return new Command(name)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.data(text.replace(/\n+$/, '')),
      writeErr: (text) => terminal.say(text.replace(/\n+$/, '')),
      // Told with its next step, once, where all errors are.
      outputError: () => {},
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showSuggestionAfterError()
    .allowExcessArguments(false)
    .helpOption('-h, --help', 'show this help');
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
