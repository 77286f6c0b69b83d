import { neutraliseJson } from './neutralise.js';
import type { Terminal } from './terminal.js';

export type Format = 'text' | 'json';

export interface OutputOptions {
  output?: Format;
}

/** What was asked for; else text for a person and JSON for a program. */
export function formatOf(options: OutputOptions, terminal: Terminal): Format {
  return options.output ?? (terminal.dataIsShown ? 'text' : 'json');
}

/** One answer: indented where a person reads it, one line where a program does. */
export function print<T>(terminal: Terminal, options: OutputOptions, value: T, text: (value: T, columns?: number) => string): void {
  if (formatOf(options, terminal) === 'text') terminal.data(text(value, terminal.columns));
  else terminal.data(neutraliseJson(JSON.stringify(value, null, terminal.dataIsShown ? 2 : undefined)));
}

/** A list; where it is empty, that is said, and what to do about it. */
export function printList<T>(
  terminal: Terminal,
  options: OutputOptions,
  items: readonly T[],
  { text, empty }: { text(items: readonly T[], columns?: number): string; empty: string },
): void {
  if (items.length > 0 || formatOf(options, terminal) === 'json') print(terminal, options, items, text);
  if (items.length === 0) terminal.say(terminal.hint(empty));
}

/** One of many: a line of its own in either format. */
export function printLine<T>(terminal: Terminal, format: Format, value: T, text: (value: T) => string): void {
  terminal.data(format === 'text' ? text(value) : neutraliseJson(JSON.stringify(value)));
}
