import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { type Pack, pack } from 'tar-stream';
import { Failure } from '../failure.js';
import type { HashedFile } from './hash-files.js';

// The same folder gives the same bytes on every machine, whoever packs it and whenever.
const NOBODYS = { mtime: new Date(0), uid: 0, gid: 0, uname: '', gname: '' };

/** A gzip tar of the files, made while it is read; `replaced` stands in for files of the same path. */
export function packFiles(files: readonly HashedFile[], replaced: ReadonlyMap<string, string> = new Map()): Readable {
  const archive = pack();
  const packed = pipeline(Readable.from(archive), createGzip(), () => {});
  fill(archive, files, replaced).catch((error: Error) => archive.destroy(error));
  return packed;
}

async function fill(archive: Pack, files: readonly HashedFile[], replaced: ReadonlyMap<string, string>): Promise<void> {
  const extra = [...replaced.keys()].filter((path) => !files.some((file) => file.path === path));
  for (const path of extra) archive.entry({ name: path, mode: 0o644, ...NOBODYS }, replaced.get(path) ?? '');
  for (const file of files) {
    const mode = file.executable ? 0o755 : 0o644;
    const text = replaced.get(file.path);
    if (text !== undefined) archive.entry({ name: file.path, mode, ...NOBODYS }, text);
    else await addFile(archive, file, mode);
  }
  archive.finalize();
}

/** What is sent is what was hashed: else a version would be remembered under another's digest. */
async function addFile(archive: Pack, { path, source, size, hash }: HashedFile, mode: number): Promise<void> {
  const entry = archive.entry({ name: path, mode, size, ...NOBODYS });
  // An archive that is destroyed says why itself.
  entry.on('error', () => {});
  const content = createHash('sha256');
  if (size > 0) {
    for await (const chunk of createReadStream(source, { end: size - 1 }) as AsyncIterable<Buffer>) {
      content.update(chunk);
      if (!entry.write(chunk)) await once(entry, 'drain');
    }
  }
  if (content.digest('hex') !== hash)
    throw new Failure(`${source} was changed while it was packed`, 'deploy again when nothing writes to the folder');
  entry.end(null);
}
