import { ERRORS } from '@kiln/contract/errors';
import { CommanderError } from 'commander';
import { type ErrorReport, EXIT, QuietEnd, tell } from '../failure.js';
import { neutraliseJson } from './neutralise.js';
import { paint } from './style.js';
import type { Terminal } from './terminal.js';
import { wrapWords } from './words.js';

/** Source code, build output and log lines are not wrapped. */
const IS_SOURCE = /^(\s|>)/;

/** Prints an error on stderr, in prose or as one line of JSON, and returns its exit code. */
export function report(error: unknown, terminal: Terminal, asJson: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
  // The command was missing, and commander has already shown the help.
  if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage;
  terminal.status('');
  if (error instanceof QuietEnd) return error.exitCode;
  const known = tell(error);
  const told = { ...known, fix: terminal.hint(known.fix) };
  terminal.say(asJson ? neutraliseJson(JSON.stringify({ error: told })) : errorText(told, terminal.proseColumns));
  return told.exitCode;
}

/** The next step is not wrapped: users copy commands from it. */
function errorText({ message, fix, code }: ErrorReport, columns = Number.POSITIVE_INFINITY): string {
  const said = `${paint('red', 'kiln:')} ${message}`.split('\n');
  const shown = said.flatMap((line) => (IS_SOURCE.test(line) ? [line] : wrapWords(line, columns)));
  const lines = [...shown, `  ${paint('cyan', 'next:')} ${fix}`];
  if (code in ERRORS) lines.push(`  ${paint('dim', `code: ${code}`)}`);
  return lines.join('\n');
}

/** True when the arguments ask for JSON. Reads them directly: an error in the arguments is printed as JSON too. */
export function asksForJson(argv: readonly string[]): boolean {
  return argv.some(
    (argument, i) =>
      argument === '-ojson' || argument === '--output=json' || (argument === 'json' && /^(-o|--output)$/.test(argv[i - 1] ?? '')),
  );
}
