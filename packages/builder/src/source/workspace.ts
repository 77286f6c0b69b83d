import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Makes a temporary folder named after this process. First removes the folders of killed processes, which nobody else would remove.
 * @param parent is made where it does not exist. Sources can be large, and some machines keep temporary files in memory.
 */
export async function makeWorkspace(parent: string = tmpdir()): Promise<string> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  for (const name of await readdir(parent)) {
    const [, owner] = /^kiln-build-(\d+)-/.exec(name) ?? [];
    if (owner !== undefined && !isAlive(Number(owner))) await rm(join(parent, name), { recursive: true, force: true });
  }
  return await mkdtemp(join(parent, `kiln-build-${process.pid}-`));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
