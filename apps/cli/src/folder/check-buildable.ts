import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../failure.js';
import type { FolderFile } from './list-files.js';
import type { Project } from './project.js';

const DEFAULT_ENTRIES = ['index.js', 'index.mjs', 'index.cjs'];

/**
 * Finds what would make every build of the folder fail, before anything is sent.
 * @throws Failure naming what is missing and what to add.
 */
export async function checkBuildable(project: Project, files: readonly FolderFile[]): Promise<void> {
  const paths = new Set(files.map(({ path }) => path));
  if (paths.has('Dockerfile')) return;
  const main = paths.has('package.json') ? await mainOf(project.folder) : undefined;
  for (const { name, config } of project.functions) {
    if (config.entry !== undefined) requireFile(paths, config.entry, `kiln.json says that the entry of "${name}" is ${config.entry}`);
    else if (main !== undefined) requireFile(paths, main, `package.json says that main is ${main}`);
    else if (!DEFAULT_ENTRIES.some((entry) => paths.has(entry))) throw nothingToRun(project.folder, paths);
  }
}

async function mainOf(folder: string): Promise<string | undefined> {
  const file = join(folder, 'package.json');
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new Failure(`${file} is not JSON: ${(error as Error).message}`, 'correct it and deploy again');
  }
  const main = typeof content === 'object' && content !== null && 'main' in content ? content.main : undefined;
  return typeof main === 'string' ? main : undefined;
}

function requireFile(paths: ReadonlySet<string>, entry: string, why: string): void {
  const path = entry.replace(/^\.\/+/, '');
  const tried = [path, `${path}.js`, `${path}.mjs`, `${path}.cjs`, `${path}/index.js`];
  if (tried.some((candidate) => paths.has(candidate))) return;
  throw new Failure(
    `${why}, and no such file would be sent`,
    'create it, correct the path, or take it out of .dockerignore and .kilnignore',
  );
}

function nothingToRun(folder: string, paths: ReadonlySet<string>): Failure {
  const what =
    paths.size === 0 ? 'the folder is empty' : `there is no Dockerfile, no package.json with a "main" and no ${DEFAULT_ENTRIES.join(', ')}`;
  return new Failure(
    `nothing in ${folder} can be run: ${what}`,
    'add index.js that exports a handler (kiln init writes one), name the module as "entry" in kiln.json, or add a Dockerfile',
  );
}
