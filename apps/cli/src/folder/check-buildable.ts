import { readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { findEntry } from '@kiln/runner/entry';
import { Failure } from '../failure.js';
import type { FolderFile } from './list-files.js';
import type { Project } from './project.js';

const PACKAGE_JSON = 'package.json';
const MAX_BYTES = 1024 ** 3;

/**
 * Finds what would make every build of the folder fail, before anything is sent.
 * @throws Failure naming what is missing and what to add.
 */
export async function checkBuildable({ folder, functions }: Project, files: readonly FolderFile[]): Promise<void> {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (bytes > MAX_BYTES) {
    throw new Failure(`${folder} holds ${Math.round(bytes / 1024 ** 2)} MB; at most ${MAX_BYTES / 1024 ** 2} MB can be sent`, LEAVE_OUT);
  }
  const sent = new Set(files.map(({ path }) => path));
  if (sent.has('Dockerfile')) return;
  if (sent.has(PACKAGE_JSON)) await requireJson(join(folder, PACKAGE_JSON));
  for (const { name, config } of functions) requireEntry(folder, sent, { name, entry: config.entry });
}

const LEAVE_OUT = 'name what is not needed in .kilnignore';

async function requireJson(file: string): Promise<void> {
  try {
    JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new Failure(`${file} is not JSON: ${(error as Error).message}`, 'correct it and deploy again');
  }
}

/** By the rule of the builder itself, on the files as they are here. */
function requireEntry(folder: string, sent: ReadonlySet<string>, { name, entry }: { name: string; entry: string | undefined }): void {
  const { found, lookedFor } = findEntry(join(folder, entry ?? ''));
  const path = found === undefined ? undefined : relative(folder, found).split(sep).join('/');
  if (path !== undefined && sent.has(path)) return;
  if (path !== undefined) {
    throw new Failure(
      `${path}, the module of "${name}", would not be sent`,
      'take it out of .dockerignore and .kilnignore, or keep it inside the folder',
    );
  }
  if (entry !== undefined) {
    throw new Failure(
      `kiln.json says that the entry of "${name}" is ${entry}, and there is no such module`,
      'create it, or correct "entry" in kiln.json',
    );
  }
  const what = sent.size === 0 ? 'it is empty' : `there is no Dockerfile and none of ${lookedFor.join(', ')}`;
  throw new Failure(
    `nothing in ${folder} can be run: ${what}`,
    'add index.js that exports a handler (kiln init writes one), name the module as "entry" in kiln.json, or add a Dockerfile',
  );
}
