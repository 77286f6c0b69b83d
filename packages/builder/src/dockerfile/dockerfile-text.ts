import { KilnError } from '@kiln/contract/errors';

/** One instruction, joined to one line, and its place in the file. */
export interface Instruction {
  /** In capitals. */
  keyword: string;
  /** What follows the keyword. */
  rest: string;
  first: number;
  /** The line after its last one. */
  end: number;
}

const DIRECTIVE = /^#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(\S.*)$/;
/** Characters of one instruction with all its lines. Engines take longer ones, but nobody writes them. */
const MAX_INSTRUCTION_CHARS = 64 * 1024;

export interface Reading {
  /** A line that ends with two escape characters does not continue on the next: engines differ in it. */
  doubledEnds?: boolean;
  /** Reads with this escape character, whatever the file's directive says. */
  escapeCharacter?: string;
}

/** As the engine's builder reads a Dockerfile: it joins continued lines, and skips comments and empty lines. */
export function instructionsOf(dockerfile: string, { doubledEnds = false, escapeCharacter }: Reading = {}): Instruction[] {
  const lines = linesOf(dockerfile);
  const mark = (escapeCharacter ?? escapeOf(lines)) === '`' ? '`' : '\\\\';
  const continues = new RegExp(`${doubledEnds ? `(?<!${mark})` : ''}${mark}[ \\t]*$`);
  const found: Instruction[] = [];
  let text = '';
  let first: number | undefined;
  for (const [at, line] of lines.entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    first ??= at;
    text += line.replace(continues, '');
    if (text.length > MAX_INSTRUCTION_CHARS) {
      const why = `the instruction in line ${first + 1} is longer than ${MAX_INSTRUCTION_CHARS} characters`;
      throw dockerfileRefusal(why, 'COPY a script and RUN that');
    }
    if (continues.test(line)) continue;
    found.push(instruction(text, first, at + 1));
    text = '';
    first = undefined;
  }
  return first === undefined ? found : [...found, instruction(text, first, lines.length)];
}

/** Engines agree on the escape directive only where it is the first line, or follows another directive that they know. */
export function readsOneWay(dockerfile: string): boolean {
  const lines = linesOf(dockerfile);
  const directives = lines.flatMap((line, at) => (/^\s*#\s*escape\s*=/i.test(line) ? [at] : []));
  const [only = 0, ...more] = directives;
  if (directives.length === 0) return true;
  const above = lines.slice(0, only).every((line) => /^#[ \t]*syntax[ \t]*=/i.test(line));
  return more.length === 0 && above && ['`', '\\'].includes(escapeOf(lines) ?? '');
}

/** Removes the byte order mark, and makes a space of the one character that is a space for the engine but not for the expressions here. */
function linesOf(dockerfile: string): string[] {
  const text = dockerfile.replace(/^\uFEFF/, '').replaceAll('\u0085', ' ');
  return text.split('\n').map((line) => line.replace(/\r$/, ''));
}

function instruction(text: string, first: number, end: number): Instruction {
  const [, keyword = '', rest = ''] = /^\s*(\S+)\s*(.*)$/s.exec(text) ?? [];
  return { keyword: keyword.toUpperCase(), rest: rest.trimEnd(), first, end };
}

/** The error for a Dockerfile that Kiln does not build. */
export function dockerfileRefusal(why: string, fix: string): KilnError {
  return new KilnError('bad_request', `Dockerfile: ${why}`, { fix });
}

/** Directives come before everything else in the file. */
function escapeOf(lines: readonly string[]): string | undefined {
  for (const line of lines) {
    const [, key, value] = DIRECTIVE.exec(line.trimEnd()) ?? [];
    if (key === undefined) return undefined;
    if (key.toLowerCase() === 'escape') return value;
  }
  return undefined;
}

/** The words of a JSON list; undefined for any other text. */
export function jsonWords(text: string): string[] | undefined {
  try {
    const words: unknown = JSON.parse(text);
    return Array.isArray(words) ? words.map(String) : undefined;
  } catch {
    return undefined;
  }
}
