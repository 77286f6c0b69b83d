import { neutralise } from './neutralise.js';

export type Row = readonly (string | number | undefined)[];

/** Columns under headings, as wide as they need to be; an absent value is a dash. */
export function table(headings: readonly string[], rows: readonly Row[]): string {
  const cells = rows.map((row) => headings.map((_, i) => neutralise(String(row[i] ?? '-'))));
  const lines = [headings.map((heading) => heading.toUpperCase()), ...cells];
  const widths = headings.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** One `name: value` per line, the values under each other. */
export function pairs(entries: readonly (readonly [string, string | number | undefined])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length)) + 1;
  return entries.map(([name, value]) => `${`${name}:`.padEnd(width)} ${neutralise(String(value ?? '-'))}`).join('\n');
}
