import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DOTENV, MAX_DOTENV_BYTES } from '@kiln/project/dotenv';
import { ignoreRules, isSent } from '@kiln/project/ignore-rules';
import type { IgnoreRules } from '@kiln/project/left-out';
import type { PackedFile } from '@kiln/project/pack';
import { Failure } from '../failure.js';

const MAX_FILES = 50_000;

export type FolderFile = PackedFile & { source: string };

/**
 * The regular files of a folder that `.dockerignore` and `.kilnignore` leave in, sorted by path.
 * @throws Failure that names each link or special file: on another machine it would mean something else
 */
export async function listFiles(folder: string): Promise<FolderFile[]> {
  const { files, refused } = await findFiles(folder);
  if (files.length > MAX_FILES) {
    throw new Failure(`${folder} holds more than ${MAX_FILES} files`, 'name what is not needed in .kilnignore');
  }
  if (refused.length > 0) {
    const named = refused.slice(0, 10).join(', ') + (refused.length > 10 ? ` and ${refused.length - 10} more` : '');
    const what = `only regular files and folders can be deployed, and these are links or special files: ${named}`;
    throw new Failure(what, 'replace them with regular files, or name them in .kilnignore');
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The same files in any order, and the entries that cannot be sent. Stops at too many files. */
export async function findFiles(folder: string): Promise<{ files: FolderFile[]; refused: string[] }> {
  const rules = await readIgnoreFiles(folder);
  const files: FolderFile[] = [];
  const refused: string[] = [];
  await walk('');
  return { files, refused };

  async function walk(below: string): Promise<void> {
    for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
      if (files.length > MAX_FILES) return;
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      const source = join(folder, path);
      if (!isSent(entry.isDirectory() ? `${path}/` : path, rules)) continue;
      if (entry.isDirectory()) await walk(path);
      else if (entry.isFile()) {
        const { size, mode } = await lstat(source);
        files.push({ path, source, size, executable: (mode & 0o111) !== 0 });
      } else refused.push(path);
    }
  }
}

/** The rules of the folder's `.dockerignore` and `.kilnignore`. */
export async function readIgnoreFiles(folder: string): Promise<IgnoreRules> {
  const [docker, own] = await Promise.all(['.dockerignore', '.kilnignore'].map((name) => readIfThere(join(folder, name))));
  return ignoreRules(docker, own);
}

/** The text of a `.env` that is not among the files. Only of a regular file: a folder may have that name, or a pipe that gives secrets. */
export async function readDotenv(folder: string, sent: readonly PackedFile[]): Promise<string | undefined> {
  if (sent.some(({ path }) => path === DOTENV)) return undefined;
  const file = join(folder, DOTENV);
  const stats = await lstat(file).catch(() => undefined);
  return stats?.isFile() && stats.size <= MAX_DOTENV_BYTES ? readIfThere(file) : undefined;
}

/** The text of a file; undefined when there is none. */
export function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
