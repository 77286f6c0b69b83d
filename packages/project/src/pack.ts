import { once } from 'node:events';
import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { type Pack, pack } from 'tar-stream';

// Fixed values: the same folder gives the same bytes on every machine and at any time.
const NOBODYS = { mtime: new Date(0), uid: 0, gid: 0, uname: '', gname: '' };

export interface PackedFile {
  /** Relative to the folder, with `/`. */
  path: string;
  size: number;
  executable: boolean;
}

/** A gzip tar, made while it is read. `contentOf` yields exactly the file's size in bytes, or throws; `replaced` has other contents. */
export function packFiles<File extends PackedFile>(
  files: readonly File[],
  contentOf: (file: File) => AsyncIterable<Buffer>,
  replaced: ReadonlyMap<string, string> = new Map(),
): Readable {
  const archive = pack();
  const packed = pipeline(Readable.from(archive), createGzip(), () => {});
  fill().catch((error: Error) => archive.destroy(error));
  return packed;

  async function fill(): Promise<void> {
    const extra = [...replaced].filter(([path]) => !files.some((file) => file.path === path));
    for (const [path, text] of extra) archive.entry({ name: path, mode: 0o644, ...NOBODYS }, text);
    for (const file of files) {
      const mode = file.executable ? 0o755 : 0o644;
      const text = replaced.get(file.path);
      if (text !== undefined) archive.entry({ name: file.path, mode, ...NOBODYS }, text);
      else await addFile(archive, file, mode, contentOf(file));
    }
    archive.finalize();
  }
}

async function addFile(archive: Pack, { path, size }: PackedFile, mode: number, content: AsyncIterable<Buffer>): Promise<void> {
  const entry = archive.entry({ name: path, mode, size, ...NOBODYS });
  // The archive reports its own error.
  entry.on('error', () => {});
  for await (const chunk of content) if (!entry.write(chunk)) await once(entry, 'drain');
  entry.end(null);
}
