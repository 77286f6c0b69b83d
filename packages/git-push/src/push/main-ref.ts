import { KilnError } from '@kiln/contract/errors';
import type { Repository } from '../repository/repositories.js';
import { GitFailure, gitText, runGit } from '../repository/run-git.js';
import { MAIN } from './judge-commands.js';

interface Move {
  before: string | undefined;
  after: string;
}

/** The move of main by a push, the present commit of main, and whether the move leaves commits behind. */
export interface MainMove extends Move {
  now: string | undefined;
  forced: boolean;
}

/**
 * Reads main when it is this push's turn. Main may have moved while the push waited; the push is accepted if it contains that commit.
 * @param env shows the new objects, too
 * @throws KilnError `conflict` where the push would undo another push
 */
export async function readMain(repository: Repository, move: Move, env: Record<string, string>): Promise<MainMove> {
  const now = await mainOf(repository);
  const { before, after } = move;
  const contains = async (commit: string | undefined) => commit === undefined || (await isAncestor(repository, commit, after, env));
  if (now === before) return { ...move, now, forced: !(await contains(before)) };
  if (now !== undefined && (await contains(now))) return { ...move, now, forced: false };
  throw new KilnError('conflict', 'another push has moved main in the meantime', {
    fix: 'fetch it and push again: git pull --rebase kiln main',
  });
}

/**
 * Git moves main only from the commit that the client saw, so this moves main back to that commit until git has ended. Pushes of one
 * project take turns, so only a fetch can see main there.
 * @returns moves main forward again, where git has not moved it
 */
export async function yieldMain(repository: Repository, { now, before }: MainMove): Promise<() => Promise<void>> {
  if (now === undefined || now === before) return async () => undefined;
  await setMain(repository, before, now);
  return async () => {
    if ((await mainOf(repository)) === before) await setMain(repository, now, before);
  };
}

async function mainOf({ folder, env }: Repository): Promise<string | undefined> {
  const { code, stdout } = await runGit({ args: ['--git-dir', folder, 'rev-parse', '--verify', '--quiet', MAIN], env });
  return code === 0 ? stdout.toString('utf8').trim() : undefined;
}

async function isAncestor({ folder }: Repository, earlier: string, later: string, env: Record<string, string>): Promise<boolean> {
  const { code, stderr } = await runGit({ args: ['--git-dir', folder, 'merge-base', '--is-ancestor', earlier, later], env });
  if (code > 1 || code < 0) throw new GitFailure(`git merge-base ended with ${code}: ${stderr.trim()}`);
  return code === 0;
}

/** Moves main only from the given commit. */
async function setMain({ folder, env }: Repository, to: string | undefined, from: string | undefined): Promise<void> {
  const ref = to === undefined ? ['-d', MAIN, from ?? ''] : [MAIN, to, from ?? ''];
  await gitText({ args: ['--git-dir', folder, 'update-ref', ...ref], env });
}
