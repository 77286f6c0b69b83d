import ignore, { type Ignore } from 'ignore';

export type IgnoreRules = Ignore;

/** Sent whatever the ignore files say: the builder reads them. */
const ALWAYS = new Set(['kiln.json', 'Dockerfile']);
/** Made anew where it is needed, or one machine's own: files named .env above all, with secrets for `kiln dev`. */
const NEVER_UNLESS_ASKED = [
  ...['.git', '.hg', '.svn', '.DS_Store', '.idea', '.vscode'],
  ...['.env', '.env.local', '.env.*.local'],
  ...['node_modules', '.next', '.turbo', '.parcel-cache'],
  ...['__pycache__', '*.pyc', '.venv', 'venv', '.pytest_cache', '.mypy_cache', '.ruff_cache'],
];

/** What a folder's own `.dockerignore` and `.kilnignore`, given as text where they are there, leave out. */
export function ignoreRules(dockerignore: string | undefined, kilnignore: string | undefined): IgnoreRules {
  return ignore().add(patternsOf(dockerignore, kilnignore));
}

/** The same as patterns of `.gitignore`, the later ones stronger. */
export function patternsOf(dockerignore: string | undefined, kilnignore: string | undefined): string[] {
  return [...NEVER_UNLESS_ASKED, ...linesOf(dockerignore).map(anchored), ...linesOf(kilnignore)];
}

/** Whether a file, or with a `/` at its end a folder, is sent. The path is relative to the folder that has the rules. */
export function isSent(path: string, rules: IgnoreRules): boolean {
  return isAlwaysSent(path) || !rules.ignores(path);
}

export function isAlwaysSent(path: string): boolean {
  return ALWAYS.has(path);
}

/** The same as Docker would have it of a folder that says nothing itself. */
export function dockerignore(): string {
  return NEVER_UNLESS_ASKED.map((pattern) => `**/${pattern}\n`).join('');
}

/** Docker's patterns all start at the folder's root; those of `.kilnignore` are as in `.gitignore`. */
function anchored(line: string): string {
  const pattern = line.trim();
  if (pattern === '' || pattern.startsWith('#')) return '';
  const [negation, rest] = pattern.startsWith('!') ? ['!', pattern.slice(1)] : ['', pattern];
  return `${negation}/${rest.replace(/^\.?\/+/, '')}`;
}

function linesOf(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(/\r?\n/);
}
