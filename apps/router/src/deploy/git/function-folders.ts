import { entryNames } from '@kiln/contract/entry-names';
import { type IgnoreRules, isSent } from '@kiln/project/ignore-rules';
import type { TreeEntry } from './commit-tree.js';

/** A folder of a commit, with the entries below it, their paths relative to it. */
export interface Folder {
  path: string;
  entries: readonly TreeEntry[];
}

interface Root {
  /** Content of the `kiln.json` at the root. */
  rootJson: object | undefined;
  /** Text of the `package.json` at the root. */
  manifest: string | undefined;
  /** What the root's own files leave out is not looked into. */
  rules: IgnoreRules;
}

const KILN_JSON = 'kiln.json';
const MAX_DEPTH = 6;

/**
 * Which folders are to be deployed, as `kiln deploy` chooses them: the root, where it is a function or declares some; else each folder
 * with a `kiln.json`, and what lies below one is its own. Where there is none, the root again: its build says what it lacks.
 */
export function functionFolders(entries: readonly TreeEntry[], root: Root): Folder[] {
  const whole = [{ path: '', entries }];
  const declares = Object.keys(root.rootJson ?? {}).some((key) => key !== 'project');
  if (declares || isFunction(entries, root.manifest)) return whole;
  const folders = foldersWith(entries, root.rules);
  return folders.length === 0 ? whole : folders.map((path) => below(entries, path));
}

function isFunction(entries: readonly TreeEntry[], manifest: string | undefined): boolean {
  const names = new Set(['Dockerfile', ...entryNames(mainOf(manifest))]);
  return entries.some(({ path, kind }) => kind === 'file' && names.has(path));
}

function mainOf(manifest: string | undefined): string | undefined {
  try {
    const { main } = JSON.parse(manifest ?? '{}') as { main?: unknown };
    return typeof main === 'string' && main !== '' ? main.replace(/^\.\//, '') : undefined;
  } catch {
    return undefined; // The build says so, with its place.
  }
}

function foldersWith(entries: readonly TreeEntry[], rules: IgnoreRules): string[] {
  const found = entries
    .map(({ path }) => path.split('/'))
    .filter((names) => names.length > 1 && names.length <= MAX_DEPTH + 1 && names.at(-1) === KILN_JSON)
    .map((names) => names.slice(0, -1))
    .filter((names) => names.every((name) => !name.startsWith('.')))
    .map((names) => names.join('/'))
    .filter((path) => isSent(`${path}/`, rules))
    .sort();
  return found.filter((path) => !found.some((upper) => path.startsWith(`${upper}/`)));
}

function below(entries: readonly TreeEntry[], folder: string): Folder {
  const start = `${folder}/`;
  const inside = entries.filter(({ path }) => path.startsWith(start)).map((entry) => ({ ...entry, path: entry.path.slice(start.length) }));
  return { path: folder, entries: inside };
}
