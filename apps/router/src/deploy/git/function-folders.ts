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
  /** Whether a build would recognise the root itself. */
  isFunction(): Promise<boolean>;
  /** What the root's own files leave out is not looked into. */
  rules: IgnoreRules;
}

const KILN_JSON = 'kiln.json';
const MAX_DEPTH = 6;

/**
 * Which folders are to be deployed, as `kiln deploy` chooses them: the root, where it is a function or declares some; else each folder
 * with a `kiln.json`, and what lies below one is its own. Where there is none, the root again: its build says what it lacks.
 */
export async function functionFolders(entries: readonly TreeEntry[], root: Root): Promise<Folder[]> {
  const whole = [{ path: '', entries }];
  const declares = Object.keys(root.rootJson ?? {}).some((key) => key !== 'project');
  const folders = declares ? [] : foldersWith(entries, root.rules);
  if (folders.length === 0 || (await root.isFunction())) return whole;
  return folders.map((path) => below(entries, path));
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
