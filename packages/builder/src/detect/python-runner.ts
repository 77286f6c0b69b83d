import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

let files: Promise<ReadonlyMap<string, Buffer>> | undefined;

/** The files of the runner for Python, by path in the build context. */
export function readPythonRunner(): Promise<ReadonlyMap<string, Buffer>> {
  files ??= read(dirname(createRequire(import.meta.url).resolve('@kiln/runner/python/runner.py')));
  return files;
}

async function read(folder: string): Promise<ReadonlyMap<string, Buffer>> {
  const found = await readdir(folder, { recursive: true });
  const paths = found.filter((path) => path.endsWith('.py')).sort();
  return new Map(await Promise.all(paths.map(async (path) => [`kiln/${path}`, await readFile(join(folder, path))] as const)));
}
