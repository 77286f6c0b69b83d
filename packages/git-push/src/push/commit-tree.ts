import { KilnError } from '@kiln/contract/errors';
import { commitMessage } from '@kiln/project/commit-message';
import { mebibytes, PUSH_LIMITS } from '../repository/limits.js';
import { gitText } from '../repository/run-git.js';

/** One entry of a commit. */
export interface TreeEntry {
  /** Relative to the root, with `/`. */
  path: string;
  /** Links and submodules are listed too, so that an error can name them. */
  kind: 'file' | 'link' | 'submodule';
  id: string;
  size: number;
  executable: boolean;
}

const ENTRY = /^(\d{6}) (blob|commit) ([0-9a-f]{40}) +(\d+|-)\t(.+)$/s;
const LINK = '120000';

/** Reads commits that may still be in quarantine. */
export interface CommitReader {
  repository: string;
  env: Record<string, string>;
  signal: AbortSignal;
}

/** All files of a commit, in git's order. @throws KilnError `payload_too_large` or `bad_request` that names the refused file */
export async function readCommitTree({ repository, env, signal }: CommitReader, commit: string): Promise<TreeEntry[]> {
  const args = ['--git-dir', repository, 'ls-tree', '-r', '-z', '--long', '--full-tree', commit];
  const lines = (await gitText({ args, env, signal })).split('\0').filter((line) => line !== '');
  if (lines.length > PUSH_LIMITS.files) {
    throw new KilnError('payload_too_large', `the commit holds ${lines.length} files; main may have ${PUSH_LIMITS.files}`);
  }
  return lines.map(parseEntry);
}

/** The message for versions of this commit. */
export async function messageOf({ repository, env, signal }: CommitReader, commit: string): Promise<string> {
  const args = ['--git-dir', repository, 'log', '-1', '--no-show-signature', '--format=%s', commit];
  return commitMessage(commit, await gitText({ args, env, signal }));
}

function parseEntry(line: string): TreeEntry {
  const [, mode = '', type, id = '', size, path = ''] = ENTRY.exec(line) ?? [];
  requirePlainPath(path);
  const kind = type === 'commit' ? 'submodule' : mode === LINK ? 'link' : 'file';
  const bytes = size === '-' ? 0 : Number(size);
  if (bytes > PUSH_LIMITS.fileBytes) {
    throw new KilnError('payload_too_large', `${path} is ${mebibytes(bytes)}; a file may have ${mebibytes(PUSH_LIMITS.fileBytes)}`, {
      fix: 'take it out of the commit, and fetch it when the function is built or starts',
    });
  }
  return { path, kind, id, size: bytes, executable: mode === '100755' };
}

/** Git checks paths on receipt; this is a second check. */
function requirePlainPath(path: string): void {
  const plain = path.split('/').every((name) => name !== '' && name !== '.' && name !== '..' && name.toLowerCase() !== '.git');
  if (plain && !path.includes('\uFFFD')) return;
  throw new KilnError('bad_request', `the path ${JSON.stringify(path.slice(0, 300))} is not one that can be deployed`, {
    fix: 'rename it, or take it out of the commit',
  });
}
