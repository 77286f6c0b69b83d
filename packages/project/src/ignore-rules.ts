import ignore, { type Ignore } from 'ignore';

export type IgnoreRules = Ignore;

/** Always sent, because the builder reads them. */
export const ALWAYS_SENT: ReadonlySet<string> = new Set(['kiln.json', 'Dockerfile']);
/** Generated files, and files of one machine only: above all .env, with secrets for `kiln dev`. */
const NEVER_UNLESS_ASKED = [
  ...['.git', '.hg', '.svn', '.DS_Store', '.idea', '.vscode'],
  ...['.env', '.env.local', '.env.*.local'],
  ...['node_modules', '.next', '.turbo', '.parcel-cache'],
  ...['__pycache__', '*.pyc', '.venv', 'venv', '.pytest_cache', '.mypy_cache', '.ruff_cache'],
];

/** The rules of a folder, from the texts of its `.dockerignore` and `.kilnignore`. */
export function ignoreRules(dockerignore?: string, kilnignore?: string): IgnoreRules {
  return ignore().add(patternsOf(dockerignore, kilnignore));
}

/** The rules as `.gitignore` patterns; later patterns win. */
export function patternsOf(dockerignore = '', kilnignore = ''): string[] {
  return [...NEVER_UNLESS_ASKED, ...dockerignore.split(/\r?\n/).map(anchored), ...kilnignore.split(/\r?\n/)];
}

/** Whether a path is sent. It is relative to the folder with the rules; a folder ends with `/`. */
export function isSent(path: string, rules: IgnoreRules): boolean {
  return ALWAYS_SENT.has(path) || !rules.ignores(path);
}

/** A `.dockerignore` with the default rules. */
export function dockerignore(): string {
  return NEVER_UNLESS_ASKED.map((pattern) => `**/${pattern}\n`).join('');
}

/** A Docker pattern starts at the root of the folder; a `.gitignore` pattern does not. */
function anchored(line: string): string {
  const pattern = line.trim();
  if (pattern === '' || pattern.startsWith('#')) return '';
  const [negation, rest] = pattern.startsWith('!') ? ['!', pattern.slice(1)] : ['', pattern];
  return `${negation}/${rest.replace(/^\.?\/+/, '')}`;
}
