import { isFunctionRoot } from '@kiln/builder/detect/detect';
import { SourceFolder } from '@kiln/builder/source/source-folder';
import { type DeclaredFunction, type FunctionConfigInput, readKilnJson, readProjectName } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { FUNCTION_NAME_PATTERN, suggestName } from '@kiln/contract/names';
import { DOTENV, dotenvNote, MAX_DOTENV_BYTES } from '@kiln/project/dotenv';
import { type IgnoreTexts, ignoredPaths } from '@kiln/project/ignored-paths';
import { parseKilnJson } from '@kiln/project/kiln-json';
import { sourceDigest } from '@kiln/project/source-digest';
import { mebibytes, PUSH_LIMITS } from '../repository/limits.js';
import type { Blobs } from './blobs.js';
import type { TreeEntry } from './commit-tree.js';
import { type Folder, functionFolders } from './function-folders.js';

/** A function as a commit holds it. */
export interface PushedFunction {
  name: string;
  /** Files for the builder, with paths relative to the function's folder. */
  files: TreeEntry[];
  /** Equal for equal sources and configuration. */
  digest: string;
  /** The one that `kiln.json` names, else the repository's. */
  project: string;
  /** Its part of `kiln.json`. */
  config: FunctionConfigInput;
  /** For the person who pushes it. */
  note: string | undefined;
}

const KILN_JSON = 'kiln.json';
const MAX_TEXT_BYTES = 1024 * 1024;
const SHOWN = 10;

/** The functions of a commit, by the rules of `kiln deploy`. @throws KilnError that names the fault and its folder */
export async function readFunctions(entries: readonly TreeEntry[], blobs: Blobs, project: string): Promise<PushedFunction[]> {
  const root = { path: '', entries };
  const rootJson = await jsonIn(root, KILN_JSON, blobs);
  const owner = (rootJson && readProjectName(rootJson)) ?? project;
  const functions: PushedFunction[] = [];
  const texts = await ignoreTexts(root, blobs);
  const isFunction = async () => isFunctionRoot(await sourceFolder(entries, texts, blobs));
  const ignored = (folders: readonly string[]) => ignoredPaths(texts, folders);
  const projectAlone = async (path: string) => {
    const content = (await jsonIn(root, `${path}/${KILN_JSON}`, blobs)) ?? {};
    return Object.keys(content).join() === 'project' ? readProjectName(content) : undefined;
  };
  for (const folder of await functionFolders(entries, { rootJson, isFunction, projectAlone, ignored })) {
    functions.push(...(await functionsIn(folder, blobs, project, folder.project ?? owner)));
  }
  refuseTooMany(functions);
  return functions;
}

async function functionsIn(folder: Folder, blobs: Blobs, project: string, owner: string): Promise<PushedFunction[]> {
  const content = (await jsonIn(folder, KILN_JSON, blobs)) ?? {};
  // The root folder has no name in a repository, so it gets the name of the project.
  const name = folder.path === '' ? project : (folder.path.split('/').at(-1) as string);
  const declared = declaredFunctions(content, name, pathIn(folder, KILN_JSON));
  const files = sentFiles(folder, await sent(folder.entries, await ignoreTexts(folder, blobs)));
  const dotenv = files.some(({ path }) => path === DOTENV) ? undefined : await dotenvIn(folder, blobs);
  const hashed = files.map(({ path, executable, id }) => ({ path, executable, hash: id }));
  return declared.map(({ name, config }) => ({
    name,
    files,
    digest: sourceDigest(hashed, config),
    config,
    project: readProjectName(content) ?? owner,
    note: dotenv === undefined ? undefined : dotenvNote(dotenv, config),
  }));
}

/** The root of a commit as a build would see it. */
async function sourceFolder(entries: readonly TreeEntry[], texts: IgnoreTexts, blobs: Blobs): Promise<SourceFolder> {
  const files = (await sent(entries, texts)).filter(({ kind }) => kind === 'file');
  const ids = new Map(files.map(({ path, id }) => [path, id]));
  const asSources = files.map(({ path, size, executable, id }) => ({ path, size, executable, hash: id }));
  return new SourceFolder('', asSources, (path, bytes) => blobs.start(ids.get(path) ?? '', bytes));
}

function declaredFunctions(content: object, folderName: string, where: string): DeclaredFunction[] {
  const isNamed = 'name' in content || 'functions' in content;
  const isName = FUNCTION_NAME_PATTERN.test(folderName);
  try {
    // Reports a misspelled key first: it may be the name.
    const functions = readKilnJson(content, isName ? folderName : suggestName(folderName));
    if (isNamed || isName) return functions;
  } catch (error) {
    if (!(error instanceof KilnError)) throw error;
    throw new KilnError(error.code, where === KILN_JSON ? error.message : `${where}: ${error.message}`, { fix: `correct ${where}` });
  }
  throw new KilnError('bad_request', `the folder's name "${folderName}" can't be a function's name, and ${where} gives none`, {
    fix: `add "name": "${suggestName(folderName)}" to ${where}`,
  });
}

async function ignoreTexts(folder: Folder, blobs: Blobs): Promise<IgnoreTexts> {
  return { dockerignore: await textIn(folder, '.dockerignore', blobs), kilnignore: await textIn(folder, '.kilnignore', blobs) };
}

async function sent(entries: readonly TreeEntry[], texts: IgnoreTexts): Promise<TreeEntry[]> {
  const paths = entries.map(({ path }) => path);
  const ignored = await ignoredPaths(texts, paths);
  return entries.filter(({ path }) => !ignored.has(path));
}

function sentFiles({ path: folder }: Folder, sent: TreeEntry[]): TreeEntry[] {
  const where = folder === '' ? 'the repository' : folder;
  const odd = sent.filter(({ kind }) => kind !== 'file').map(({ path, kind }) => `${path} (a ${kind})`);
  if (odd.length > 0) {
    const more = odd.length > SHOWN ? ` and ${odd.length - SHOWN} more` : '';
    const message = `only regular files can be deployed; in ${where} there are ${odd.slice(0, SHOWN).join(', ')}${more}`;
    throw new KilnError('bad_request', message, { fix: 'put the files themselves there, or name what is not needed in .kilnignore' });
  }
  const bytes = sent.reduce((sum, { size }) => sum + size, 0);
  if (bytes <= PUSH_LIMITS.functionBytes && sent.length <= PUSH_LIMITS.functionFiles) return sent;
  const limit = `a function may have ${PUSH_LIMITS.functionFiles} files and ${mebibytes(PUSH_LIMITS.functionBytes)}`;
  throw new KilnError('payload_too_large', `${where} holds ${sent.length} files, ${mebibytes(bytes)}; ${limit}`, {
    fix: 'name what is not needed in .kilnignore',
  });
}

/** The text of a file in the folder; undefined without one. */
async function textIn(folder: Folder, name: string, blobs: Blobs): Promise<string | undefined> {
  const file = folder.entries.find(({ path, kind }) => path === name && kind === 'file');
  if (file === undefined) return undefined;
  if (file.size <= MAX_TEXT_BYTES) return (await blobs.start(file.id)).toString('utf8');
  throw new KilnError('bad_request', `${pathIn(folder, name)} is larger than ${mebibytes(MAX_TEXT_BYTES)}`, {
    fix: 'make it smaller',
  });
}

async function dotenvIn(folder: Folder, blobs: Blobs): Promise<string | undefined> {
  const isLarge = folder.entries.some(({ path, size }) => path === DOTENV && size > MAX_DOTENV_BYTES);
  return isLarge ? undefined : await textIn(folder, DOTENV, blobs);
}

async function jsonIn(folder: Folder, name: string, blobs: Blobs): Promise<object | undefined> {
  const text = await textIn(folder, name, blobs);
  return text === undefined ? undefined : parseKilnJson(text, pathIn(folder, name));
}

function pathIn({ path }: Folder, name: string): string {
  return path === '' ? name : `${path}/${name}`;
}

function refuseTooMany(functions: readonly PushedFunction[]): void {
  if (functions.length > PUSH_LIMITS.functions) {
    throw new KilnError('bad_request', `the repository declares ${functions.length} functions; a push may have ${PUSH_LIMITS.functions}`, {
      fix: 'push a part of it to each of several projects',
    });
  }
  const names = new Set<string>();
  for (const { name } of functions) {
    if (names.has(name))
      throw new KilnError('bad_request', `two folders declare a function "${name}"`, { fix: 'rename one of them in its kiln.json' });
    names.add(name);
  }
}
