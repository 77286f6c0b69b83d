import { Command, type CommanderError, Option } from 'commander';
import type { Config } from './config.js';
import { UsageFailure } from './failure.js';
import type { Terminal } from './output/terminal.js';

/** What every command has at hand. */
export interface Session {
  readonly config: Config;
  readonly terminal: Terminal;
}

const HELP_COLUMNS = 100;

/** A command with what all commands of Kiln share: it throws its errors, suggests names, and prints its help as data. */
export class KilnCommand extends Command {
  private readonly terminal: Terminal;

  constructor(name: string, { terminal }: Session) {
    super(name);
    this.terminal = terminal;
    this.exitOverride((error) => this.refuse(error))
      .configureOutput({
        writeOut: (text) => terminal.data(this.usageAsInvoked(text)),
        writeErr: (text) => terminal.say(this.usageAsInvoked(text)),
        getOutHelpWidth: () => this.columns,
        getErrHelpWidth: () => this.columns,
        // `report` prints every error once, with its next step.
        outputError: () => {},
        getOutHasColors: () => false,
        getErrHasColors: () => false,
      })
      // The width of the terminal alone decides where a line ends.
      .configureHelp({ minWidthToWrap: 20, commandDescription: (of) => of.description().replaceAll('\n', ' ') })
      .showSuggestionAfterError()
      // One `help` command serves all commands: it says which name is wrong.
      .helpCommand(false)
      .allowExcessArguments(false)
      .helpOption('-h, --help', 'show this help');
  }

  /** Examples at the end of the help: each command line with its meaning beside it, or below it on a narrow terminal. */
  examples(...lines: readonly (readonly [string, string])[]): this {
    return this.addHelpText('after', () => {
      const typed = lines.map(([line, meaning]) => [this.terminal.hint(line), meaning] as const);
      const width = Math.max(...typed.map(([line]) => line.length));
      const longest = Math.max(...typed.map(([, meaning]) => meaning.length));
      const isNarrow = width + longest + 6 > this.columns;
      const shown = typed.map(([line, meaning]) => (isNarrow ? `  $ ${line}\n      ${meaning}` : `  $ ${line.padEnd(width)}  ${meaning}`));
      return `\nExamples:\n${shown.join('\n')}`;
    });
  }

  private get columns(): number {
    return this.terminal.columns ?? HELP_COLUMNS;
  }

  /** @throws UsageFailure that names the command's own help; a request for help passes through unchanged */
  private refuse(error: CommanderError): never {
    if (error.exitCode === 0 || error.code === 'commander.help') throw error;
    const names: string[] = [];
    for (let each: Command | null = this; each !== null; each = each.parent) names.unshift(each.name());
    const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
    throw new UsageFailure(message, `see how it is used: ${names.join(' ')} --help`);
  }

  /** The help, with its usage line as this command line was started. */
  private usageAsInvoked(help: string): string {
    return help.replace(/\n+$/, '').replace(/^Usage: .*$/m, (line) => this.terminal.hint(line));
  }
}

/** A command with `-o`: it prints data. */
export function dataCommand(name: string, session: Session): KilnCommand {
  return new KilnCommand(name, session).addOption(
    new Option('-o, --output <format>', 'how data is printed (default: text on a terminal, else json)').choices(['text', 'json']),
  );
}
