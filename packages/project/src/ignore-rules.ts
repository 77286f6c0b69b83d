import { KilnError } from '@kiln/contract/errors';
import { BadPattern } from './docker-patterns.js';
import { IgnoreRules, NEVER_UNLESS_ASKED } from './left-out.js';

/** Always sent, because the builder and the engine read them. */
export const ALWAYS_SENT: ReadonlySet<string> = new Set(['kiln.json', 'Dockerfile', '.dockerignore']);

/** The rules of a folder, from the texts of its `.dockerignore` and `.kilnignore`. @throws KilnError `bad_request` for a line that is no pattern */
export function ignoreRules(dockerignore?: string, kilnignore?: string): IgnoreRules {
  try {
    return new IgnoreRules(dockerignore, kilnignore);
  } catch (error) {
    if (!(error instanceof BadPattern)) throw error;
    const fix = 'correct the line: a [ needs its ], a ! needs a path, and a \\ needs a character after it';
    throw new KilnError('bad_request', `.dockerignore: ${error.message}`, { fix });
  }
}

/** Whether a file is sent, or may be something of a folder, whose path ends with `/`. Paths are relative to the folder with the rules. */
export function isSent(path: string, rules: IgnoreRules): boolean {
  return ALWAYS_SENT.has(path) || !rules.ignores(path);
}

/** A `.dockerignore` with the default rules. */
export function dockerignore(): string {
  return NEVER_UNLESS_ASKED.map((pattern) => `**/${pattern}\n`).join('');
}
