import { KilnError } from '@kiln/contract/errors';
import { PUSH_LIMITS } from '../repository/limits.js';
import type { TreeEntry } from './commit-tree.js';

/** A folder of a commit, with the entries below it, their paths relative to it. */
export interface Folder {
  path: string;
  entries: readonly TreeEntry[];
  /** The project that the nearest folder above names, without the root. */
  project?: string;
}

interface Root {
  /** Content of the `kiln.json` at the root. */
  rootJson: object | undefined;
  /** Whether the root itself is a function. */
  isFunction(): Promise<boolean>;
  /** The project that a folder's kiln.json names, where the file has no other key. */
  projectAlone(folder: string): Promise<string | undefined>;
  /** The folders among these, with a `/` at the end, that the ignore files of the root exclude. */
  ignored(folders: readonly string[]): Promise<ReadonlySet<string>>;
}

const KILN_JSON = 'kiln.json';
const MAX_DEPTH = 6;
/** Folders with a kiln.json, also those inside a function. Each costs a pass over all files of the commit. */
const MAX_FOLDERS = 10 * PUSH_LIMITS.functions;

/**
 * The folders to deploy, by the rules of `kiln deploy`: the root, where it is a function or declares functions; otherwise each folder with
 * a `kiln.json`, including all below it. Without such a folder the root: its build then reports what is missing.
 */
export async function functionFolders(entries: readonly TreeEntry[], root: Root): Promise<Folder[]> {
  const whole = [{ path: '', entries }];
  const declares = Object.keys(root.rootJson ?? {}).some((key) => key !== 'project');
  const folders = declares ? [] : await foldersWith(entries, root);
  if (folders.length === 0 || (await root.isFunction())) return whole;
  return await withoutRepositories(entries, folders, root);
}

/** A folder whose kiln.json only names a project is no function, but the folders below it are. */
async function withoutRepositories(entries: readonly TreeEntry[], folders: readonly string[], root: Root): Promise<Folder[]> {
  const above = new Set(folders.flatMap(parents));
  const found = new Map<string, Folder>();
  const projects = new Map<string, string>();
  for (const path of folders) {
    if (parents(path).some((parent) => found.has(parent))) continue;
    const own = above.has(path) ? await root.projectAlone(path) : undefined;
    if (own !== undefined) {
      projects.set(path, own);
      continue;
    }
    const named = parents(path).map((parent) => projects.get(parent));
    found.set(path, { ...below(entries, path), project: named.find((project) => project !== undefined) });
  }
  return [...found.values()];
}

/** The folders above one, nearest first. */
function parents(path: string): string[] {
  const names = path.split('/');
  return names.slice(1).map((_, i) => names.slice(0, names.length - 1 - i).join('/'));
}

async function foldersWith(entries: readonly TreeEntry[], root: Root): Promise<string[]> {
  const found = entries
    .map(({ path }) => path.split('/'))
    .filter((names) => names.length > 1 && names.length <= MAX_DEPTH + 1 && names.at(-1) === KILN_JSON)
    .filter((names) => names.every((name) => !name.startsWith('.')))
    .map((names) => names.slice(0, -1).join('/'));
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
