import { KilnError } from '@kiln/contract/errors';

/** One instruction, on one line, and the lines of the file that it stands on. */
export interface Instruction {
  /** In capitals. */
  keyword: string;
  /** What follows the keyword. */
  rest: string;
  first: number;
  /** Behind its last one. */
  end: number;
}

const DIRECTIVE = /^#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(\S.*)$/;
/** One instruction with all its lines. Engines take longer ones; nobody writes them. */
const MAX_INSTRUCTION_CHARS = 64 * 1024;

/** As the engine's builder reads a Dockerfile: continued lines are one, comments and empty lines nothing. */
export function instructionsOf(dockerfile: string, doubledEnds = false): Instruction[] {
  const lines = linesOf(dockerfile);
  const mark = escapeOf(lines) === '`' ? '`' : '\\\\';
  const continues = new RegExp(`${doubledEnds ? `(?<!${mark})` : ''}${mark}[ \\t]*$`);
  const found: Instruction[] = [];
  let text = '';
  let first: number | undefined;
  for (const [at, line] of lines.entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    first ??= at;
    text += line.replace(continues, '');
    if (text.length > MAX_INSTRUCTION_CHARS) throw tooLong(first);
    if (continues.test(line)) continue;
    found.push(instruction(text, first, at + 1));
    text = '';
    first = undefined;
  }
  return first === undefined ? found : [...found, instruction(text, first, lines.length)];
}

/** Engines agree on a directive only where it is the first line, or behind another that they know. */
export function readsOneWay(dockerfile: string): boolean {
  const lines = linesOf(dockerfile);
  const said = lines.flatMap((line, at) => (/^\s*#\s*escape\s*=/i.test(line) ? [at] : []));
  const [only = 0, ...more] = said;
  if (said.length === 0) return true;
  const above = lines.slice(0, only).every((line) => /^#[ \t]*syntax[ \t]*=/i.test(line));
  return more.length === 0 && above && ['`', '\\'].includes(escapeOf(lines) ?? '');
}

/** What is space to the engine and not to the expressions here is made a space; a mark of the bytes' order is none of the text. */
function linesOf(dockerfile: string): string[] {
  const text = dockerfile.replace(/^\uFEFF/, '').replaceAll('\u0085', ' ');
  return text.split('\n').map((line) => line.replace(/\r$/, ''));
}

function instruction(text: string, first: number, end: number): Instruction {
  const [, keyword = '', rest = ''] = /^\s*(\S+)\s*(.*)$/s.exec(text) ?? [];
  return { keyword: keyword.toUpperCase(), rest: rest.trimEnd(), first, end };
}

function tooLong(line: number): KilnError {
  return new KilnError(
    'bad_request',
    `Dockerfile: the instruction in line ${line + 1} is longer than ${MAX_INSTRUCTION_CHARS} characters`,
    {
      fix: 'COPY a script and RUN that',
    },
  );
}

/** Directives stand above all else. */
function escapeOf(lines: readonly string[]): string | undefined {
  for (const line of lines) {
    const [, key, value] = DIRECTIVE.exec(line.trimEnd()) ?? [];
    if (key === undefined) return undefined;
    if (key.toLowerCase() === 'escape') return value;
  }
  return undefined;
}

/** Words of a list in JSON; undefined for what is none. */
export function jsonWords(text: string): string[] | undefined {
  try {
    const words: unknown = JSON.parse(text);
    return Array.isArray(words) ? words.map(String) : undefined;
  } catch {
    return undefined;
  }
}
