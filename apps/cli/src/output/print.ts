import { neutraliseJson } from './neutralise.js';
import type { Terminal } from './terminal.js';

export interface OutputOptions {
  output?: 'text' | 'json';
}

/** The format of `-o`; without it text on a terminal and JSON elsewhere. */
export function formatOf(options: OutputOptions, terminal: Terminal): 'text' | 'json' {
  return options.output ?? (terminal.dataIsShown ? 'text' : 'json');
}

/** Shows a value as text, wrapped at a number of columns if there is one. */
type Text<T> = (value: T, columns?: number) => string;

/** Prints one value: JSON is indented on a terminal and one line elsewhere. */
export function print<T>(terminal: Terminal, options: OutputOptions, value: T, text: Text<T>): void {
  if (formatOf(options, terminal) === 'text') terminal.data(text(value, terminal.columns));
  else terminal.data(neutraliseJson(JSON.stringify(value, null, terminal.dataIsShown ? 2 : undefined)));
}

/** Prints a list. When it is empty, `empty` says so on stderr, with the next step. */
export function printList<T>(
  terminal: Terminal,
  options: OutputOptions,
  items: readonly T[],
  text: Text<readonly T[]>,
  empty: string,
): void {
  if (items.length > 0 || formatOf(options, terminal) === 'json') print(terminal, options, items, text);
  if (items.length === 0) terminal.say(terminal.hint(empty));
}

/** Prints one of several values, a line each in both formats. */
export function printLine<T>(terminal: Terminal, options: OutputOptions, value: T, text: (value: T) => string): void {
  terminal.data(formatOf(options, terminal) === 'text' ? text(value) : neutraliseJson(JSON.stringify(value)));
}

/** Prints all values: a line of JSON each, or one text for them. */
export function printLines(terminal: Terminal, options: OutputOptions, values: readonly unknown[], text: () => string): void {
  if (formatOf(options, terminal) === 'text') terminal.data(text());
  else for (const value of values) printLine(terminal, options, value, String);
}
