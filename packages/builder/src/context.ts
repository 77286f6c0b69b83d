import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { BuildArgs } from '@kiln/contract/api/build-args';
import { type Pack, pack } from 'tar-stream';
import { SOURCES } from './dockerfile/layout.js';
import type { Sources } from './secrets/build-in-steps.js';
import type { SourceFile, SourceFolder } from './source/source-folder.js';

/** Raised with every change by which equal sources give another image. */
const BUILDER_VERSION = '1';
/** Every file has the same time, so that equal files give equal layers. */
const FILE_TIME = new Date(0);
const DOCKERFILE = 'Dockerfile';
const DOCKERIGNORE = '.dockerignore';
/** A second Dockerfile, in a context whose own Dockerfile a step may copy into the image. */
const OTHER_DOCKERFILE = '.kiln-steps.Dockerfile';

/** Kiln's own files in a context, where the folder has no Dockerfile. */
export interface OwnFiles {
  dockerfile: string;
  files: ReadonlyMap<string, Buffer>;
}

/** Equal inputs give an equal hash at any time on any machine: files (path, executable, content), build arguments, secret ids, Dockerfile, base images. */
export function contextHash(
  folder: SourceFolder,
  own: OwnFiles | undefined,
  baseImageIds: readonly string[],
  args: BuildArgs = {},
  secretIds: readonly string[] = [],
): string {
  const hash = createHash('sha256');
  const named = Object.entries(args).sort(([a], [b]) => (a < b ? -1 : 1));
  if (secretIds.length > 0) hash.update(JSON.stringify(secretIds.toSorted()));
  hash.update(JSON.stringify([BUILDER_VERSION, own?.dockerfile ?? null, baseImageIds, ...(named.length > 0 ? [named] : [])]));
  for (const [path, content] of own?.files ?? []) hash.update(JSON.stringify([path, content.length])).update(content);
  for (const { path, executable, hash: content } of folder.files) hash.update(JSON.stringify([path, executable, content]));
  return hash.digest('hex').slice(0, 32);
}

/** The build context: our Dockerfile at the root and the sources in a folder below it, or the sources as they are. */
export async function sourcesOf(folder: SourceFolder, own: OwnFiles | undefined): Promise<Sources> {
  if (own !== undefined) {
    const { dockerfile, files } = own;
    const context = (text = dockerfile) => ({
      context: contextTar(folder, new Map<string, string | Buffer>([[DOCKERFILE, text], ...files]), `${SOURCES}/`),
    });
    return { dockerfile, context };
  }
  const ignored = folder.has(DOCKERIGNORE) ? await folder.readText(DOCKERIGNORE) : '';
  return {
    dockerfile: await folder.readText(DOCKERFILE),
    context: (text) => {
      if (text === undefined) return { context: contextTar(folder, new Map(), '') };
      // Both are in .dockerignore, so that COPY does not see them.
      const added = { [DOCKERIGNORE]: [ignored, DOCKERIGNORE, OTHER_DOCKERFILE, ''].join('\n'), [OTHER_DOCKERFILE]: text };
      return { context: contextTar(folder, new Map(Object.entries(added)), ''), file: OTHER_DOCKERFILE };
    },
  };
}

function contextTar(folder: SourceFolder, added: ReadonlyMap<string, string | Buffer>, prefix: string): Readable {
  const tar = pack();
  for (const [name, content] of added) tar.entry({ name, mtime: FILE_TIME }, content);
  const files = folder.files.filter(({ path }) => prefix !== '' || !added.has(path));
  addFiles(tar, folder.root, files, prefix).catch((error: Error) => tar.destroy(error));
  return Readable.from(tar);
}

async function addFiles(tar: Pack, root: string, files: readonly SourceFile[], prefix: string): Promise<void> {
  for (const file of files) await addFile(tar, root, file, prefix);
  tar.finalize();
}

async function addFile(tar: Pack, root: string, { path, size, executable }: SourceFile, prefix: string): Promise<void> {
  const header = { name: prefix + path, size, mode: executable ? 0o755 : 0o644, mtime: FILE_TIME };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const entry = tar.entry(header, (error) => (error ? reject(error) : resolve()));
  for await (const chunk of createReadStream(join(root, path))) {
    if (!entry.write(chunk)) await Promise.race([once(entry, 'drain'), promise]);
  }
  entry.end(null);
  await promise;
}
