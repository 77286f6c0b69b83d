import type { Command } from '../repository/hook.js';
import { PUSH_LIMITS } from '../repository/limits.js';

export const MAIN = 'refs/heads/main';
const SHOWN = 10;

export interface Judged {
  /** Why the whole push is refused. */
  refused?: string;
  /** The commit to deploy, where main is pushed. */
  main?: { before: string | undefined; after: string };
  /** Lines about refs that are stored and not deployed. */
  notes: string[];
}

/** Decides about each ref of a push: main is deployed and can't be deleted; every other ref is only stored. */
export function judgeCommands(commands: readonly Command[]): Judged {
  if (commands.length > PUSH_LIMITS.commands) {
    return { refused: `more than ${PUSH_LIMITS.commands} branches and tags in one push: push main alone, git push kiln main`, notes: [] };
  }
  const main = commands.find(({ ref }) => ref === MAIN);
  const stored = commands.filter(({ ref, after }) => ref !== MAIN && after !== undefined);
  const notes = stored.slice(0, SHOWN).map(noteOf);
  if (stored.length > SHOWN) notes.push(`and ${stored.length - SHOWN} more are stored and not deployed`);
  if (main === undefined) return { notes };
  if (main.after === undefined) {
    return { refused: 'main cannot be deleted, for its functions go on serving; to remove one: kiln rm <function>', notes: [] };
  }
  return { main: { before: main.before, after: main.after }, notes };
}

function noteOf({ ref }: Command): string {
  const [, kind, name = ref] = /^refs\/(heads|tags)\/(.*)$/.exec(ref) ?? [];
  // A tag may be an object of its own; main must point to its commit.
  const source = kind === 'tags' ? `'${name}^{}:refs/heads/main'` : `${name}:main`;
  const what = kind === 'tags' ? `the tag ${name}` : name;
  return `only main is deployed: ${what} is stored and not deployed; to deploy it: git push kiln ${source}`;
}
