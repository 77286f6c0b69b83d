import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BuildPlan } from '@kiln/builder/detect/detector';
import { SourceFolder } from '@kiln/builder/source/source-folder';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { dockerignore } from '@kiln/project/ignore-rules';
import { Failure } from '../failure.js';
import type { PreparedFunction } from './prepare.js';

/** Writes the Dockerfile that a deployment would use into the folder. @throws Failure or KilnError */
export async function eject({ folder, name, files, config }: PreparedFunction): Promise<{ written: string[]; notes: string[] }> {
  const [{ detect }, { ejected }] = await Promise.all([import('@kiln/builder/detect/detect'), import('@kiln/builder/eject')]);
  const plan = await detect(new SourceFolder(folder, files), config);
  const own = await ejected(plan, name, config.handler);
  const written: string[] = [];
  for (const [path, content] of [['Dockerfile', own.dockerfile] as const, ...own.files]) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      throw new Failure(`${file} exists already`, 'move it away first');
    });
    written.push(file);
  }
  const ignored = join(folder, '.dockerignore');
  if (!existsSync(ignored)) {
    await writeFile(ignored, `${dockerignore()}Dockerfile\n.dockerignore\n`, { flag: 'wx' });
    written.push(ignored);
  }
  return { written, notes: notesOf(plan, config) };
}

/** Settings that Kiln detected and a Dockerfile cannot hold. */
function notesOf(plan: BuildPlan, config: FunctionConfigInput): string[] {
  // By default a runner function takes one request at a time, and an HTTP image takes many.
  const usual = plan.kind === 'runner' ? { concurrency: 1 } : {};
  const { concurrency, port } = { ...usual, ...plan.config, ...config };
  const suits = Object.entries({ concurrency, port }).filter(([, value]) => value !== undefined);
  const notes = suits.length === 0 ? [] : [`keep in kiln.json: ${JSON.stringify(Object.fromEntries(suits))}`];
  if (plan.kind === 'runner' && plan.entry !== undefined) notes.push('move the "config" of the module to kiln.json');
  return notes;
}
