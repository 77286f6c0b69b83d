import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';

/** A place in a source file; column 0 where only the line is known. */
interface Position {
  file: string;
  line: number;
  column: number;
}

const MAX_FRAMES = 6;
const MAX_CAUSES = 3;
const MAX_MESSAGE = 2000;
const MAX_SOURCE_BYTES = 4 * 1024 * 1024;
const MAX_WIDTH = 120;
const LINES_AROUND = 2;
const COMPILE_TIME_MS = 5000;
const MAX_OUTPUT_BYTES = 256 * 1024;

/** Explains to the author of a module why it does not load. Leaves out frames of Node and of this runner, which they can't correct. */
export function explainLoadFailure(error: unknown, entry: string): string {
  if (!(error instanceof Error)) return `the module threw ${inspect(error).slice(0, MAX_MESSAGE)}\n    in ${shortPath(entry)}`;
  const frames = ownFrames(error.stack ?? '');
  const isFromCompiler = error instanceof SyntaxError && frames.length === 0;
  const at = importOf(error) ?? headOf(error.stack ?? '') ?? (isFromCompiler ? compileAgain(entry) : undefined);
  const positions = at === undefined ? frames : [at, ...frames.filter(({ file, line }) => file !== at.file || line !== at.line)];
  const where = positions.length === 0 ? [`    in ${shortPath(entry)}`] : positions.slice(0, MAX_FRAMES).map(frameText);
  const first = positions.find(({ file }) => !file.includes(`${sep}node_modules${sep}`)) ?? positions[0];
  return [messageOf(error), ...where, ...codeFrame(first), ...adviceOf(error), ...causes(error)].join('\n');
}

function messageOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? ` [${error.code}]` : '';
  const name = `${error.name}${error.name.includes('[') ? '' : code}`;
  return `${name}: ${error.message.slice(0, MAX_MESSAGE)}`;
}

function causes(error: Error): string[] {
  const lines: string[] = [];
  for (let cause = error.cause; cause !== undefined && lines.length < MAX_CAUSES; cause = cause instanceof Error ? cause.cause : undefined)
    lines.push(`caused by ${cause instanceof Error ? messageOf(cause) : inspect(cause).slice(0, MAX_MESSAGE)}`);
  return lines;
}

const FRAME = /^\s+at (?:.*?\()?((?:file:\/\/)?[/\\A-Z].*?):(\d+):(\d+)\)?$/;

function ownFrames(stack: string): Position[] {
  return stack.split('\n').flatMap((line) => {
    const [, file, row, column] = FRAME.exec(line.slice(0, MAX_MESSAGE)) ?? [];
    const path = file === undefined ? undefined : pathOf(file);
    return path === undefined || path === runner ? [] : [{ file: path, line: Number(row), column: Number(column) }];
  });
}

function pathOf(file: string): string | undefined {
  try {
    const path = file.startsWith('file:') ? fileURLToPath(file) : file;
    return isAbsolute(path) ? path : undefined;
  } catch {
    return undefined; // No file of this machine.
  }
}

/** This program: one file. */
const runner = readLink(process.argv[1] ?? '');

function readLink(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // Then no frame is taken for one of this program.
  }
}

/** The place above the stack of some errors: `<file>:<line>`, the line, and a mark below it. */
function headOf(stack: string): Position | undefined {
  const lines = stack.split('\n', 6).map((line) => line.slice(0, MAX_MESSAGE));
  const [, file, row] = /^((?:file:\/\/)?\/.*):(\d+)$/.exec(lines[0] ?? '') ?? [];
  const path = file === undefined ? undefined : pathOf(file);
  if (path === undefined) return undefined;
  const mark = lines.slice(1).find((line) => /^\s*\^+\s*$/.test(line));
  return { file: path, line: Number(row), column: mark === undefined ? 0 : mark.indexOf('^') + 1 };
}

/**
 * Loads the module in another process: Node shows the place of a syntax error in an ES module only where nobody catches the error. A
 * module that does not compile has not run, so a second load has no effects.
 */
function compileAgain(entry: string): Position | undefined {
  const code = `await import(${JSON.stringify(pathToFileURL(entry).href)})`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: COMPILE_TIME_MS,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT_BYTES,
    encoding: 'utf8',
  });
  const lines = (stderr ?? '').split('\n');
  const first = lines.findIndex((line) => /^(?:file:\/\/)?\/.*:\d+$/.test(line.slice(0, MAX_MESSAGE)));
  return first < 0 ? undefined : headOf(lines.slice(first).join('\n'));
}

/** The place where a module imports one that is missing. */
function importOf({ message }: Error): Position | undefined {
  const [, wanted, from] = /^Cannot find (?:module|package) '([^'\n]+)' imported from ([^\n]+)/.exec(message.slice(0, MAX_MESSAGE)) ?? [];
  const file = from === undefined ? undefined : pathOf(from);
  if (wanted === undefined || file === undefined || file === runner) return undefined;
  for (const [i, text] of sourceLines(file).entries()) {
    for (const { 1: specifier = '', index } of text.slice(0, MAX_MESSAGE).matchAll(/['"]([^'"]{1,300})['"]/g)) {
      const isMeant = specifier === wanted || specifier.startsWith(`${wanted}/`) || resolve(dirname(file), specifier) === wanted;
      if (isMeant) return { file, line: i + 1, column: index + 1 };
    }
  }
  return { file, line: 1, column: 0 };
}

/** Advice for a missing package; for a missing file, Node's message is enough. */
function adviceOf({ message }: Error): string[] {
  const [, name] = /^Cannot find (?:package|module) '((?:@[\w.-]+\/)?[\w.-]+)'/.exec(message) ?? [];
  return name === undefined ? [] : [`the package must be in package.json: npm install ${name}`];
}

function frameText({ file, line, column }: Position): string {
  return `    at ${shortPath(file)}:${line}${column > 0 ? `:${column}` : ''}`;
}

/** The path relative to the working folder, where the file is below it. */
function shortPath(file: string): string {
  const below = relative(process.cwd(), file);
  return below.startsWith('..') || isAbsolute(below) ? file : below;
}

/** The lines around a place, and a mark below the column. */
function codeFrame(at: Position | undefined): string[] {
  if (at === undefined) return [];
  const lines = sourceLines(at.file);
  if (at.line > lines.length) return [];
  const first = Math.max(1, at.line - LINES_AROUND);
  const last = Math.min(lines.length, at.line + LINES_AROUND);
  const width = String(last).length;
  // Of a long line, such as a generated one, only the part around the column.
  const from = Math.max(0, at.column - Math.round(MAX_WIDTH / 2));
  const frame: string[] = [];
  for (let number = first; number <= last; number += 1) {
    const text = (lines[number - 1] ?? '').slice(from, from + MAX_WIDTH).trimEnd();
    frame.push(`${number === at.line ? '>' : ' '} ${String(number).padStart(width)} | ${text}`.trimEnd());
    if (number !== at.line || at.column === 0) continue;
    const before = text.slice(0, at.column - 1 - from).replace(/[^\t]/g, ' ');
    frame.push(`  ${' '.repeat(width)} | ${before}^`);
  }
  return ['', ...frame, ''];
}

function sourceLines(file: string): string[] {
  try {
    const content = readFileSync(file);
    return content.length > MAX_SOURCE_BYTES ? [] : content.toString('utf8').split(/\r?\n/);
  } catch {
    return []; // Explained without lines.
  }
}
