import { statfs } from 'node:fs/promises';

/** Used share of a file system in percent, as `df` counts: what only root may fill counts as used. */
export async function diskUsed(path: string): Promise<number> {
  const { blocks, bfree, bavail } = await statfs(path);
  const used = blocks - bfree;
  return (100 * used) / (used + bavail);
}
