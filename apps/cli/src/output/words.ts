import { widthOf } from './style.js';

/** Wraps text between words at the width; a longer word gets a line of its own. */
export function wrapWords(text: string, width: number): string[] {
  return text.split('\n').flatMap((line) => wrapLine(line, width));
}

function wrapLine(line: string, width: number): string[] {
  if (widthOf(line) <= width) return [line];
  const lines: string[] = [];
  let current = '';
  for (const word of line.split(' ')) {
    const longer = current === '' ? word : `${current} ${word}`;
    if (current !== '' && widthOf(longer) > width) {
      lines.push(current);
      current = word;
    } else current = longer;
  }
  lines.push(current);
  return lines;
}

/** The width of the longest word. */
export function longestWord(text: string): number {
  return Math.max(0, ...text.split(/[ \n]/).map(widthOf));
}
