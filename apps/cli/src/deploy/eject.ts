import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SourceFolder } from '@kiln/builder/source-folder';
import { dockerignore } from '@kiln/project/ignore-rules';
import { Failure } from '../failure.js';
import type { Candidate } from './prepare.js';

export interface Ejected {
  written: string[];
  notes: string[];
}

/** Writes the Dockerfile that a deployment would use into the folder. @throws Failure or KilnError, and nothing is written */
export async function eject({ folder, name, files, config }: Candidate): Promise<Ejected> {
  const [{ detect }, { ejected }] = await Promise.all([import('@kiln/builder/detect'), import('@kiln/builder/eject')]);
  const plan = await detect(new SourceFolder(folder, files), config);
  const dockerfile = join(folder, 'Dockerfile');
  await writeFile(dockerfile, ejected(plan, name), { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    throw new Failure(`${dockerfile} is there already`, 'move it away first');
  });
  const written = [dockerfile];
  const ignored = join(folder, '.dockerignore');
  const isThere = await access(ignored).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    await writeFile(ignored, dockerignore(), { flag: 'wx' });
    written.push(ignored);
  }
  const { concurrency, port } = { ...plan.config, ...config };
  const suits = Object.entries({ concurrency, port }).filter(([, value]) => value !== undefined);
  const notes = suits.length === 0 ? [] : [`keep in kiln.json: ${JSON.stringify(Object.fromEntries(suits))}`];
  return { written, notes };
}
