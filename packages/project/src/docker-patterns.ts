import { posix } from 'node:path';

/** A line that Docker refuses as well. */
export class BadPattern extends Error {
  constructor(line: number, text: string) {
    super(`line ${line}, ${JSON.stringify(text.slice(0, 200))}, is no pattern to Docker`);
  }
}

/** One line of a `.dockerignore`. */
export interface DockerPattern {
  /** Without the `!`, from the root of the folder. */
  text: string;
  /** It takes back what an earlier line leaves out. */
  negated: boolean;
  /** Whether it names exactly this path; what lies below a path that it names is not asked. */
  matches(path: string): boolean;
}

/** Which of the patterns match a path or a folder above it, as far as Docker looked. */
export type DockerMatches = readonly boolean[];

/** Reads a `.dockerignore` as Docker does. @throws BadPattern */
export function dockerPatterns(text = ''): DockerPattern[] {
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  return lines.flatMap((line, i) => {
    const trimmed = line.trim();
    if (line.startsWith('#') || trimmed === '') return [];
    const negated = trimmed.startsWith('!');
    const pattern = cleaned(negated ? trimmed.slice(1).trim() : trimmed);
    const matches = pattern === '' ? undefined : matcherOf(pattern);
    if (matches === undefined) throw new BadPattern(i + 1, trimmed);
    return [{ text: pattern, negated, matches }];
  });
}

/**
 * One step from a folder to an entry in it. The order of the questions is Docker's own, with its gaps: a `!` that had nothing to take back
 * at a folder is forgotten for what is in it.
 * @param parent the matches of the folder; none for the root
 */
export function dockerStep(
  patterns: readonly DockerPattern[],
  path: string,
  parent: DockerMatches,
): { leftOut: boolean; matched: boolean[] } {
  let leftOut = false;
  const matched = patterns.map(({ negated, matches }, i) => {
    const does = parent[i] === true || (negated === leftOut && matches(path));
    if (does) leftOut = !negated;
    return does;
  });
  return { leftOut, matched };
}

/** Whether the pattern may name something below this folder. */
export function reachesBelow({ text }: DockerPattern, folder: string): boolean {
  const wanted = text.split('/');
  const names = folder.split('/');
  for (const [i, name] of names.entries()) {
    const part = wanted[i];
    if (part === undefined) return false;
    if (part.includes('**')) return true;
    // A part of a class that holds a `/` is no pattern by itself, and may match.
    if (matcherOf(part)?.(name) === false) return false;
  }
  return wanted.length > names.length;
}

function cleaned(pattern: string): string {
  if (pattern === '') return '';
  const path = posix.normalize(pattern).replace(/(?<=.)\/$/, '');
  return path.length > 1 && path.startsWith('/') ? path.slice(1) : path;
}

/** As the pattern matcher of Docker. Undefined for what is no pattern. */
function matcherOf(pattern: string): ((path: string) => boolean) | undefined {
  const expression = expressionOf(pattern);
  if (expression === undefined) return undefined;
  // Docker compares these two forms as texts, so that `**x` names `ax` too, and `x**` all that begins with x.
  const [, before = '', middle = '', after = ''] = /^(\*\*)?([^*?[\]\\]*)(\*\*)?$/.exec(pattern) ?? [];
  if (before !== '' && after === '') return (path) => path.endsWith(middle) || `/${path}` === middle;
  if (before === '' && after !== '') return (path) => path.startsWith(middle);
  try {
    const compiled = new RegExp(expression, 'u');
    return (path) => compiled.test(path);
  } catch {
    return undefined;
  }
}

const TOKEN = /\*\*\/?|\*|\?|\[(\^?)((?:\\.|[^\\\]])+)\]|\\(.)|[^[\\]/gsuy;

function expressionOf(pattern: string): string | undefined {
  let expression = '';
  let end = 0;
  for (const [token, negation, members, escaped] of pattern.matchAll(TOKEN)) {
    end += token.length;
    if (token.startsWith('**')) expression += end === pattern.length ? '.*' : '(?:.*/)?';
    else if (token === '*') expression += '[^/]*';
    else if (token === '?') expression += '[^/]';
    else if (members !== undefined) expression += `[${negation}${members.replace(/\\(.)|([[^])/gsu, (_all, a, b) => literal(a ?? b))}]`;
    else expression += literal(escaped ?? token);
  }
  return end === pattern.length ? `^${expression}$` : undefined;
}

function literal(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/-]/u, (special) => (special === '-' ? '\\x2d' : `\\${special}`));
}
