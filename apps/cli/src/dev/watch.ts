import type { Stats } from 'node:fs';
import { relative, sep } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { readIgnoreFiles } from '../folder/list-files.js';

/** An editor that saves several files, or one in several steps, makes one change. */
const SETTLE_MS = 20;
const DOT_ENV = '.env';

/** Tells of changed files below a folder, a few together; what would not be deployed is not looked at, but for `.env`. */
export async function watchFolder(root: string, onChange: (paths: string[]) => void, onError: (error: Error) => void): Promise<FSWatcher> {
  const ignored = await readIgnoreFiles(root);
  const isIgnored = (path: string, stats?: Stats) => {
    if (stats !== undefined && !stats.isFile() && !stats.isDirectory()) return true;
    const below = relative(root, path).split(sep).join('/');
    if (below === '' || below.startsWith('..') || below.split('/').at(-1) === DOT_ENV) return false;
    return ignored.ignores(below) || ignored.ignores(`${below}/`);
  };
  const watcher = watch(root, { ignored: isIgnored, ignoreInitial: true, followSymlinks: false });
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  watcher.on('all', (event, path) => {
    if (event === 'addDir') return;
    changed.add(path);
    clearTimeout(timer);
    timer = setTimeout(() => {
      const paths = [...changed];
      changed.clear();
      onChange(paths);
    }, SETTLE_MS);
  });
  await new Promise<void>((resolve) => watcher.once('ready', resolve));
  watcher.on('error', (error) => onError(error as Error));
  return watcher;
}
