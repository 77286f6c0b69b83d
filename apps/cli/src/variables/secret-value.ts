import { Failure, UsageFailure } from '../failure.js';
import type { Terminal } from '../output/terminal.js';
import { requireVariableName } from './parse-variables.js';
import { readText } from './read-text.js';

export interface ValueSource {
  /** The arguments after the name: `-` for stdin, or none. */
  sources: readonly string[];
  file?: string;
}

/** Reads the value of a secret. @throws UsageFailure for a value among the arguments; the message does not repeat it */
export async function readValue(terminal: Terminal, name: string, { sources, file }: ValueSource): Promise<string> {
  const fromStdin = sources.length === 1 && sources[0] === '-';
  if ((sources.length > 0 && !fromStdin) || name.includes('=')) {
    const [word] = name.split('=');
    throw new UsageFailure(
      'the shell’s history and the list of processes show arguments, so a secret’s value cannot be one',
      `kiln secrets set ${word} asks for it; … | kiln secrets set ${word} - reads it`,
    );
  }
  requireVariableName(name);
  if (fromStdin && file !== undefined) throw new UsageFailure('both - and --file are given', 'give one of them');
  const value = await valueFrom(terminal, name, file ?? (fromStdin ? '-' : undefined));
  if (value === '') throw new Failure(`there is no value for ${name}`, 'give one that is not empty');
  return value;
}

async function valueFrom(terminal: Terminal, name: string, file: string | undefined): Promise<string> {
  if (file !== undefined) return (await readText(file, terminal.streams.stdin)).replace(/\r?\n$/, '');
  if (terminal.canAsk) return terminal.askHidden(`Value of ${name}: `);
  throw new UsageFailure('there is no terminal to ask on', `… | kiln secrets set ${name} -`);
}
