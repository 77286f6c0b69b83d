import { type AddHelpTextContext, Command, type CommanderError, Option } from 'commander';
import type { Config } from './config.js';
import { UsageFailure } from './failure.js';
import type { Terminal } from './output/terminal.js';

/** What every command has at hand. */
export interface Session {
  readonly config: Config;
  readonly terminal: Terminal;
}

/** A command with what all of ours share: errors thrown to the one place that tells them, suggestions, help as data. */
export function newCommand(name: string, { terminal }: Session): Command {
  const command = new Command(name);
  terminals.set(command, terminal);
  return (
    command
      .exitOverride((error) => refuse(command, error))
      .configureOutput({
        writeOut: (text) => terminal.data(usageAs(terminal, text)),
        writeErr: (text) => terminal.say(usageAs(terminal, text)),
        getOutHelpWidth: () => terminal.columns ?? HELP_COLUMNS,
        getErrHelpWidth: () => terminal.columns ?? HELP_COLUMNS,
        // Told with its next step, once, where all errors are.
        outputError: () => {},
        getOutHasColors: () => false,
        getErrHasColors: () => false,
      })
      // Wrapped by the terminal's width alone: where a line ends in the source means nothing.
      .configureHelp({ minWidthToWrap: 20, commandDescription: (of) => of.description().replaceAll('\n', ' ') })
      .showSuggestionAfterError()
      // One for all commands: it says what is wrong with what it is asked for.
      .helpCommand(false)
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

/** Help is prose about commands, but for the line that shows how one is typed. */
function usageAs(terminal: Terminal, help: string): string {
  return help.replace(/\n+$/, '').replace(/^Usage: .*$/m, (line) => terminal.hint(line));
}

const HELP_COLUMNS = 100;
const terminals = new WeakMap<Command, Terminal>();

/** Examples at the end of a command's help: the line, and what it does, beside it or below it where the terminal is narrow. */
export function examples(lines: readonly (readonly [string, string])[]): (context: AddHelpTextContext) => string {
  return ({ command }) => {
    const terminal = terminals.get(command);
    const typed = lines.map(([line, meaning]) => [terminal?.hint(line) ?? line, meaning] as const);
    const width = Math.max(...typed.map(([line]) => line.length));
    const longest = Math.max(...typed.map(([, meaning]) => meaning.length));
    const isNarrow = width + longest + 6 > (terminal?.columns ?? HELP_COLUMNS);
    const shown = typed.map(([line, meaning]) => (isNarrow ? `  $ ${line}\n      ${meaning}` : `  $ ${line.padEnd(width)}  ${meaning}`));
    return `\nExamples:\n${shown.join('\n')}`;
  };
}
