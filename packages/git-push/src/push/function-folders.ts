import { KilnError } from '@kiln/contract/errors';
import { PUSH_LIMITS } from '../repository/limits.js';
import type { TreeEntry } from './commit-tree.js';

/** A folder of a commit, with the entries below it, their paths relative to it. */
export interface Folder {
  path: string;
  entries: readonly TreeEntry[];
  /** The project that the nearest folder above it names, below the root. */
  project?: string;
}

interface Root {
  /** Content of the `kiln.json` at the root. */
  rootJson: object | undefined;
  /** Whether a build would recognise the root itself. */
  isFunction(): Promise<boolean>;
  /** The project that a folder's kiln.json names, where it says nothing else. */
  projectAlone(folder: string): Promise<string | undefined>;
  /** Which of these folders, a `/` at their ends, the root's own files leave out: they are not looked into. */
  ignored(folders: readonly string[]): Promise<ReadonlySet<string>>;
}

const KILN_JSON = 'kiln.json';
const MAX_DEPTH = 6;
/** Those of functions, and those that only lie in one. Each costs a look at every file of the commit. */
const MAX_FOLDERS = 10 * PUSH_LIMITS.functions;

/**
 * Which folders are to be deployed, as `kiln deploy` chooses them: the root, where it is a function or declares some; else each folder
 * with a `kiln.json`, and what lies below one is its own. Where there is none, the root again: its build says what it lacks.
 */
export async function functionFolders(entries: readonly TreeEntry[], root: Root): Promise<Folder[]> {
  const whole = [{ path: '', entries }];
  const declares = Object.keys(root.rootJson ?? {}).some((key) => key !== 'project');
  const folders = declares ? [] : await foldersWith(entries, root);
  if (folders.length === 0 || (await root.isFunction())) return whole;
  return await withoutRepositories(entries, folders, root);
}

/** A folder whose kiln.json only names a project is no function: those below it are. */
async function withoutRepositories(entries: readonly TreeEntry[], folders: readonly string[], root: Root): Promise<Folder[]> {
  const above = new Set(folders.flatMap(uppers));
  const found = new Map<string, Folder>();
  const projects = new Map<string, string>();
  for (const path of folders) {
    if (uppers(path).some((upper) => found.has(upper))) continue;
    const own = above.has(path) ? await root.projectAlone(path) : undefined;
    if (own !== undefined) {
      projects.set(path, own);
      continue;
    }
    const nearest = uppers(path).find((upper) => projects.has(upper));
    const project = nearest === undefined ? undefined : projects.get(nearest);
    found.set(path, { ...below(entries, path), ...(project !== undefined && { project }) });
  }
  return [...found.values()];
}

/** The folders above one, nearest first. */
function uppers(path: string): string[] {
  const names = path.split('/');
  return names.slice(1).map((_, i) => names.slice(0, names.length - 1 - i).join('/'));
}

async function foldersWith(entries: readonly TreeEntry[], root: Root): Promise<string[]> {
  const found = entries
    .map(({ path }) => path.split('/'))
    .filter((names) => names.length > 1 && names.length <= MAX_DEPTH + 1 && names.at(-1) === KILN_JSON)
    .map((names) => names.slice(0, -1))
    .filter((names) => names.every((name) => !name.startsWith('.')))
    .map((names) => names.join('/'));
  const ignored = await root.ignored(found.map((path) => `${path}/`));
  const folders = found.filter((path) => !ignored.has(`${path}/`)).sort();
  if (folders.length <= MAX_FOLDERS) return folders;
  throw new KilnError('bad_request', `${folders.length} folders have a ${KILN_JSON}; a push may have ${PUSH_LIMITS.functions} functions`, {
    fix: 'push a part of it to each of several projects',
  });
}

function below(entries: readonly TreeEntry[], folder: string): Folder {
  const start = `${folder}/`;
  const inside = entries.filter(({ path }) => path.startsWith(start)).map((entry) => ({ ...entry, path: entry.path.slice(start.length) }));
  return { path: folder, entries: inside };
}
