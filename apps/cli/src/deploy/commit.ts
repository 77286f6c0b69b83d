import { commitMessage } from '@kiln/project/commit-message';
import type { Config } from '../config.js';
import { askGit } from '../git.js';

/** A version's message for a folder that git tracks: the commit of HEAD, and whether the folder has changes. Undefined elsewhere. */
export async function messageOfHead(folder: string, config: Pick<Config, 'inherited'>): Promise<string | undefined> {
  const ask = (...args: string[]) => askGit(config, args, folder);
  // A folder that was never committed may lie in an unrelated work tree.
  const held = await ask('rev-parse', '--verify', '--quiet', 'HEAD:./');
  if (held === undefined) return undefined;
  const [commit, changes] = await Promise.all([
    ask('log', '-1', '--format=%H %s', 'HEAD'),
    ask('status', '--porcelain', '--ignore-submodules=all', '--', '.'),
  ]);
  const [, hash, subject = ''] = /^([0-9a-f]{40,64}) ?(.*)/s.exec(commit ?? '') ?? [];
  return hash === undefined ? undefined : commitMessage(hash, subject, { changed: changes !== '' });
}
