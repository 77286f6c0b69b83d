import { neutralise } from './neutralise.js';
import { paint, widthOf } from './style.js';
import { longestWord, wrapWords } from './words.js';

export type Row = readonly (string | number | undefined)[];

const GAP = 2;
const ABSENT = '-';
const LEAST_WRAPPED = 16;

/**
 * A table with headings; a dash stands for an absent value. When it is wider than the terminal, cells are wrapped between words;
 * when that is not enough, every row becomes a block with a line for each value.
 */
export function table(headings: readonly string[], rows: readonly Row[], columns = Number.POSITIVE_INFINITY): string {
  const cells = rows.map((row) => headings.map((_, i) => neutralise(String(row[i] ?? ABSENT))));
  const lines = [headings.map((heading) => heading.toUpperCase()), ...cells];
  const natural = headings.map((_, i) => Math.max(...lines.map((line) => widthOf(line[i] ?? ''))));
  const widths = fitted(natural, lines, columns);
  if (widths === undefined) return stacked(headings, cells, columns);
  return lines.flatMap((line) => rowLines(line, widths)).join('\n');
}

/** The table of a list: its headings, and the row of one item. */
export function tableOf<T>(headings: readonly string[], row: (item: T) => Row): (items: readonly T[], columns?: number) => string {
  return (items, columns) => table(headings, items.map(row), columns);
}

/** Column widths that fit the terminal; undefined when wrapping cannot make them fit. */
function fitted(natural: readonly number[], lines: readonly (readonly string[])[], columns: number): number[] | undefined {
  const widths = [...natural];
  const excess = () => widths.reduce((sum, width) => sum + width, 0) + GAP * (widths.length - 1) - columns;
  while (excess() > 0) {
    const least = (i: number) => Math.max(LEAST_WRAPPED, ...lines.map((line) => longestWord(line[i] ?? '')));
    const shrinkable = widths.map((width, i) => ({ i, spare: width - least(i) })).filter(({ spare }) => spare > 0);
    const [widest] = shrinkable.sort((a, b) => b.spare - a.spare);
    if (widest === undefined) return undefined;
    widths[widest.i] = (widths[widest.i] as number) - Math.min(widest.spare, excess());
  }
  return widths;
}

function rowLines(row: readonly string[], widths: readonly number[]): string[] {
  const wrapped = row.map((cell, i) => wrapWords(cell, widths[i] ?? 0));
  const height = Math.max(...wrapped.map(({ length }) => length));
  const line = (n: number) => wrapped.map((cell, i) => padded(cell[n] ?? '', widths[i] ?? 0)).join(' '.repeat(GAP));
  return Array.from({ length: height }, (_, n) => line(n).trimEnd());
}

function padded(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

function stacked(headings: readonly string[], cells: readonly (readonly string[])[], columns: number): string {
  const blocks = cells.map(([first = '', ...rest]) => {
    const named = rest.map((cell, i) => [headings[i + 1] ?? '', cell] as const).filter(([, cell]) => cell !== ABSENT && cell !== '');
    return named.length === 0 ? first : `${paint('bold', first)}\n${pairs(named, columns - GAP).replace(/^/gm, ' '.repeat(GAP))}`;
  });
  return blocks.join('\n');
}

/** One `name: value` per line, values aligned, and wrapped between words on a narrow terminal. */
export function pairs(entries: readonly (readonly [string, string | number | undefined])[], columns = Number.POSITIVE_INFINITY): string {
  const width = Math.max(0, ...entries.map(([name]) => name.length)) + 1;
  return entries
    .map(([name, value]) => {
      const lines = wrapWords(neutralise(String(value ?? ABSENT)), Math.max(LEAST_WRAPPED, columns - width - 1));
      return `${`${name}:`.padEnd(width)} ${lines.join(`\n${' '.repeat(width + 1)}`)}`;
    })
    .join('\n');
}
