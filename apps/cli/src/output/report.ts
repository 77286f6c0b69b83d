import { ERRORS } from '@kiln/contract/errors';
import { CommanderError } from 'commander';
import { EXIT, tell } from '../failure.js';
import type { Terminal } from '../terminal.js';
import { neutraliseJson } from './neutralise.js';

/** Tells of an error on stderr, in prose or as one line of JSON, and gives the exit code for it. */
export function report(error: unknown, terminal: Terminal, asJson: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
  // Help in place of a missing command has been shown already.
  if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage;
  const told = tell(error);
  if (asJson) terminal.say(neutraliseJson(JSON.stringify({ error: told })));
  else terminal.say(`kiln: ${told.message}\n  next: ${told.fix}${told.code in ERRORS ? `\n  code: ${told.code}` : ''}`);
  return told.exitCode;
}

/** Whether JSON was asked for in so many words: known before, and even if, the arguments can't be parsed. */
export function asksForJson(argv: readonly string[]): boolean {
  return argv.some(
    (argument, i) =>
      argument === '-ojson' || argument === '--output=json' || (argument === 'json' && /^(-o|--output)$/.test(argv[i - 1] ?? '')),
  );
}
