import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config.js';
import { askGit } from '../git.js';
import { type Check, ok, warning } from './check.js';

const NAME = 'git';

/** Checks git, which a router needs for `git push`. Everything else works without it. */
export async function checkGit(config: Pick<Config, 'inherited'>): Promise<Check> {
  const version = (await askGit(config, ['--version']))?.trim();
  const install = 'install it (apt-get install git), or use kiln deploy';
  if (version === undefined) return warning(NAME, 'there is no git on this machine: git push can not deploy to it', install);
  const folder = (await askGit(config, ['--exec-path']))?.trim() ?? '';
  const backend = join(folder, 'git-http-backend');
  const fault = await access(backend, constants.X_OK).catch((error: Error) => error);
  if (fault === undefined) return ok(NAME, `${version.replace(/^git version /, '')}, with its http-backend: git push can deploy`);
  const add = 'install it (Debian: apt-get install git; Alpine: apk add git-daemon; Fedora: dnf install git), or use kiln deploy';
  return warning(NAME, `${version} has no ${backend}: git push can not deploy to this machine`, add);
}
