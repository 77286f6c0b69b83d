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

/** As the engine's builder reads a Dockerfile: continued lines are one, comments and empty lines nothing. */
export function instructionsOf(dockerfile: string): Instruction[] {
  const lines = dockerfile.split('\n').map((line) => line.replace(/\r$/, ''));
  const continues = new RegExp(`${escapeOf(lines) === '`' ? '`' : '\\\\'}[ \\t]*$`);
  const found: Instruction[] = [];
  let text = '';
  let first: number | undefined;
  for (const [at, line] of lines.entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    first ??= at;
    text += line.replace(continues, '');
    if (continues.test(line)) continue;
    found.push(instruction(text, first, at + 1));
    text = '';
    first = undefined;
  }
  return first === undefined ? found : [...found, instruction(text, first, lines.length)];
}

function instruction(text: string, first: number, end: number): Instruction {
  const [, keyword = '', rest = ''] = /^\s*(\S+)\s*(.*)$/s.exec(text) ?? [];
  return { keyword: keyword.toUpperCase(), rest: rest.trimEnd(), first, end };
}

/** Directives stand above all else. */
function escapeOf(lines: readonly string[]): string | undefined {
  for (const line of lines) {
    const [, key, value] = /^#\s*(\w+)\s*=\s*(.+?)\s*$/.exec(line) ?? [];
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
