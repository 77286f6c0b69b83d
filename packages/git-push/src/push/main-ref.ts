import { KilnError } from '@kiln/contract/errors';
import type { Repository } from '../repository/repositories.js';
import { GitFailure, gitText, runGit } from '../repository/run-git.js';
import { MAIN } from './judge-commands.js';

interface Move {
  before: string | undefined;
  after: string;
}

/** What a push does to main: where it is now, and whether commits of it are left behind. */
export interface MainMove extends Move {
  now: string | undefined;
  forced: boolean;
}

/**
 * Looks at main when it is this push's turn. A push that waited may find it moved on; it is taken when it continues from there.
 * @param env sees the new objects too
 * @throws KilnError `conflict` when it would undo what another push did meanwhile
 */
export async function lookAtMain(repository: Repository, move: Move, env: Record<string, string>): Promise<MainMove> {
  const now = await mainOf(repository);
  const { before, after } = move;
  const contains = async (commit: string | undefined) => commit === undefined || (await isAncestor(repository, commit, after, env));
  if (now === before) return { ...move, now, forced: !(await contains(before)) };
  if (now !== undefined && (await contains(now))) return { ...move, now, forced: false };
  throw new KilnError('conflict', 'another push has moved main meanwhile', { fix: 'fetch it and push again: git pull --rebase kiln main' });
}

/**
 * Git moves main only from where the client saw it, so that is where it is put for the moment until git has ended. The pushes of one
 * project take turns: no other sees it there, but a fetch.
 * @returns what puts it back, had git not moved it
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

/** From where it is known to be, or not at all. */
async function setMain({ folder, env }: Repository, to: string | undefined, from: string | undefined): Promise<void> {
  const ref = to === undefined ? ['-d', MAIN, from ?? ''] : [MAIN, to, from ?? ''];
  await gitText({ args: ['--git-dir', folder, 'update-ref', ...ref], env });
}
