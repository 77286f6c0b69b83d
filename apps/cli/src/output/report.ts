import { ERRORS } from '@kiln/contract/errors';
import { CommanderError } from 'commander';
import { type ErrorReport, EXIT, QuietEnd, tell } from '../failure.js';
import { neutraliseJson } from './neutralise.js';
import { paint } from './style.js';
import type { Terminal } from './terminal.js';
import { wrapWords } from './words.js';

/** Lines of somebody's code, of a build or of a log keep their form. */
const IS_SOURCE = /^(\s|>)/;

/** Tells of an error on stderr, in prose or as one line of JSON, and gives the exit code for it. */
export function report(error: unknown, terminal: Terminal, asJson: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
  // Help in place of a missing command has been shown already.
  if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage;
  terminal.status('');
  if (error instanceof QuietEnd) return error.exitCode;
  const told = tell(error);
  const fix = terminal.hint(told.fix);
  if (asJson) terminal.say(neutraliseJson(JSON.stringify({ error: { ...told, fix } })));
  else terminal.say(errorText({ ...told, fix }, terminal.proseColumns));
  return told.exitCode;
}

/** The next step is not broken: whoever copies a command from there wants all of it. */
function errorText({ message, fix, code }: ErrorReport, columns = Number.POSITIVE_INFINITY): string {
  const said = `${paint('red', 'kiln:')} ${message}`.split('\n');
  const shown = said.flatMap((line) => (IS_SOURCE.test(line) ? [line] : wrapWords(line, columns)));
  const lines = [...shown, `  ${paint('cyan', 'next:')} ${fix}`];
  if (code in ERRORS) lines.push(`  ${paint('dim', `code: ${code}`)}`);
  return lines.join('\n');
}

/** Whether JSON was asked for in so many words: known before, and even if, the arguments can't be parsed. */
export function asksForJson(argv: readonly string[]): boolean {
  return argv.some(
    (argument, i) =>
      argument === '-ojson' || argument === '--output=json' || (argument === 'json' && /^(-o|--output)$/.test(argv[i - 1] ?? '')),
  );
}
