import { access, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BuildPlan } from '@kiln/builder/detect/detector';
import { SourceFolder } from '@kiln/builder/source/source-folder';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { dockerignore } from '@kiln/project/ignore-rules';
import { Failure } from '../failure.js';
import type { PreparedFunction } from './prepare.js';

export interface EjectedFiles {
  written: string[];
  notes: string[];
}

/** Writes the Dockerfile that a deployment would use into the folder. @throws Failure or KilnError, and nothing is written */
export async function eject({ folder, name, files, config }: PreparedFunction): Promise<EjectedFiles> {
  const [{ detect }, { ejected }] = await Promise.all([import('@kiln/builder/detect/detect'), import('@kiln/builder/eject')]);
  const plan = await detect(new SourceFolder(folder, files), config);
  const own = await ejected(plan, name, config.handler);
  const written: string[] = [];
  for (const [path, content] of [['Dockerfile', own.dockerfile] as const, ...own.files]) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      throw new Failure(`${file} is there already`, 'move it away first');
    });
    written.push(file);
  }
  const ignored = join(folder, '.dockerignore');
  const isThere = await access(ignored).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    await writeFile(ignored, `${dockerignore()}Dockerfile\n.dockerignore\n`, { flag: 'wx' });
    written.push(ignored);
  }
  return { written, notes: notesOf(plan, config) };
}

/** What a Dockerfile can't say, and Kiln took from the folder before. */
function notesOf(plan: BuildPlan, config: FunctionConfigInput): string[] {
  // A runner's functions have one request at a time unless they say otherwise; an HTTP image has many.
  const usual = plan.kind === 'runner' ? { concurrency: 1 } : {};
  const { concurrency, port } = { ...usual, ...plan.config, ...config };
  const suits = Object.entries({ concurrency, port }).filter(([, value]) => value !== undefined);
  const notes = suits.length === 0 ? [] : [`keep in kiln.json: ${JSON.stringify(Object.fromEntries(suits))}`];
  if (plan.kind === 'runner' && plan.entry !== undefined)
    notes.push('what the module says in its own "config" is for kiln.json to say from now on');
  return notes;
}
