import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { BuildArgs } from '@kiln/contract/build-args';
import { type Pack, pack } from 'tar-stream';
import type { SourceFile, SourceFolder } from './source-folder.js';

/** Raised when equal sources would give another image. */
const BUILDER_VERSION = '1';
const THEN = new Date(0);

/** What a context holds beside the sources, where the folder brings no Dockerfile of its own. */
export interface OwnFiles {
  dockerfile: string;
  files: ReadonlyMap<string, Buffer>;
  sourcesUnder: string;
}

/** Equal for equal files (path, executable, content), build arguments, Dockerfile and base images, whenever and wherever it is built. */
export function contextHash(
  folder: SourceFolder,
  own: Omit<OwnFiles, 'sourcesUnder'> | undefined,
  baseImageIds: readonly string[],
  args: BuildArgs = {},
): string {
  const hash = createHash('sha256');
  const named = Object.entries(args).sort(([a], [b]) => (a < b ? -1 : 1));
  hash.update(JSON.stringify([BUILDER_VERSION, own?.dockerfile ?? null, baseImageIds, ...(named.length > 0 ? [named] : [])]));
  for (const [path, content] of own?.files ?? []) hash.update(JSON.stringify([path, content.length])).update(content);
  for (const { path, executable, hash: content } of folder.files) hash.update(JSON.stringify([path, executable, content]));
  return hash.digest('hex').slice(0, 32);
}

/** A tar for the engine: our Dockerfile at its root and the sources below it, or the sources as they are. */
export function contextTar(folder: SourceFolder, own: OwnFiles | undefined): Readable {
  const tar = pack();
  const prefix = own === undefined ? '' : `${own.sourcesUnder}/`;
  if (own !== undefined) tar.entry({ name: 'Dockerfile', mtime: THEN }, own.dockerfile);
  for (const [name, content] of own?.files ?? []) tar.entry({ name, mtime: THEN }, content);
  addFiles(tar, folder, prefix).catch((error: Error) => tar.destroy(error));
  return Readable.from(tar);
}

async function addFiles(tar: Pack, folder: SourceFolder, prefix: string): Promise<void> {
  for (const file of folder.files) await addFile(tar, headerOf(file, prefix), join(folder.root, file.path));
  tar.finalize();
}

async function addFile(tar: Pack, header: ReturnType<typeof headerOf>, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const entry = tar.entry(header, (error) => (error ? reject(error) : resolve()));
  for await (const chunk of createReadStream(path)) {
    if (!entry.write(chunk)) await Promise.race([once(entry, 'drain'), promise]);
  }
  entry.end(null);
  await promise;
}

function headerOf({ path, size, executable }: SourceFile, prefix: string) {
  return { name: prefix + path, size, mode: executable ? 0o755 : 0o644, mtime: THEN };
}
