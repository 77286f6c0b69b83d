import { createHash, hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { concurrently } from '../concurrently.js';
import type { FolderFile } from './list-files.js';

/** A file, with the SHA-256 of its content in hex. */
export type HashedFile = FolderFile & { hash: string };

const AT_ONCE = 16;
const READ_WHOLE_BYTES = 1024 * 1024;

/** The same files, each with the hash of its content. Bytes that are appended while it reads do not count. */
export function hashFiles(files: readonly FolderFile[]): Promise<HashedFile[]> {
  return concurrently(files, { limit: AT_ONCE }, async (file) => ({ ...file, hash: await contentHash(file) }));
}

async function contentHash({ source, size }: FolderFile): Promise<string> {
  if (size <= READ_WHOLE_BYTES) return hash('sha256', (await readFile(source)).subarray(0, size), 'hex');
  const content = createHash('sha256');
  for await (const chunk of createReadStream(source, { end: size - 1 })) content.update(chunk as Buffer);
  return content.digest('hex');
}
