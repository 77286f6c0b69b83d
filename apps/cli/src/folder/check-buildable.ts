import { join, relative, sep } from 'node:path';
import { NothingToBuild } from '@kiln/builder/detect/nothing-to-build';
import { SourceFolder } from '@kiln/builder/source/source-folder';
import { findEntry } from '@kiln/runner/load/entry';
import { Failure } from '../failure.js';
import type { FolderFile } from './list-files.js';
import type { Project } from './project.js';

const MAX_BYTES = 1024 ** 3;

/** Finds what would make every build fail, before anything is sent. @throws Failure that names what is missing and what to add */
export async function checkBuildable({ folder, functions }: Project, files: readonly FolderFile[]): Promise<void> {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (bytes > MAX_BYTES) {
    throw new Failure(`${folder} holds ${Math.round(bytes / 1024 ** 2)} MB; at most ${MAX_BYTES / 1024 ** 2} MB can be sent`, LEAVE_OUT);
  }
  const [{ detect }, { checkDeclared }] = await Promise.all([
    import('@kiln/builder/detect/detect'),
    import('@kiln/builder/check-declared'),
  ]);
  const sources = sourceFolder(folder, files);
  for (const { name, config } of functions) {
    const plan = await detect(sources, config).catch((error: unknown) => {
      throw unfit(sources, name, config.entry, error);
    });
    await checkDeclared(sources, { plan, config, functionName: name });
  }
}

/** The folder, as a build sees it. */
export function sourceFolder(folder: string, files: readonly FolderFile[]): SourceFolder {
  const sources = files.map(({ path, size, executable }) => ({ path, size, executable, hash: '' }));
  return new SourceFolder(folder, sources);
}

const LEAVE_OUT = 'name what is not needed in .kilnignore';

/** Explains why no builder fits. Unlike the builder, it sees the whole folder and not only the files that are sent. */
export function unfit(sources: SourceFolder, name: string, entry: string | undefined, error: unknown): unknown {
  if (!(error instanceof NothingToBuild)) return error;
  const { found } = findEntry(join(sources.root, entry ?? ''));
  const path = found === undefined ? undefined : relative(sources.root, found).split(sep).join('/');
  if (path !== undefined && !sources.has(path) && (entry !== undefined || !path.startsWith('../'))) {
    const fix = 'remove it from .dockerignore and .kilnignore, or move it into the folder';
    return new Failure(`${path}, the module of "${name}", would not be sent`, fix);
  }
  if (entry !== undefined) {
    const message = `kiln.json says that the entry of "${name}" is ${entry}, and there is no such module`;
    return new Failure(message, 'create it, or correct "entry" in kiln.json');
  }
  const what = sources.files.length === 0 ? 'it is empty' : `looked for ${error.lookedFor}`;
  return new Failure(`nothing in ${sources.root} can be run: ${what}`, error.fix ?? 'kiln init writes a first function');
}
