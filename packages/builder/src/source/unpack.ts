import { createHash } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { KilnError } from '@kiln/contract/errors';
import { type Extract, extract, type Header } from 'tar-stream';
import type { BuildLimits } from '../bounds/limits.js';
import { ArchivePaths, refusal } from './archive-paths.js';
import { type SourceFile, SourceFolder } from './source-folder.js';

/** Never part of a build: an install makes the one again, the other is the history. */
const LEFT_OUT = new Set(['node_modules', '.git']);
/** Bytes between two entries: long names and other headers, which the reader keeps in memory, and the padding at the end. */
const MAX_BETWEEN_ENTRIES = 1024 * 1024;
const BLOCK = 512;

type UnpackLimits = Pick<BuildLimits, 'unpackedBytes' | 'files'>;

/**
 * Unpacks a gzip tar into `root`, which is empty. Takes only regular files and folders, without their modes and times. Stops at the
 * first entry that it refuses, and at the first byte over a limit; the caller removes what it wrote until then.
 * @throws KilnError `bad_request` that names the entry
 */
export async function unpack(source: Readable, root: string, limits: UnpackLimits, signal: AbortSignal): Promise<SourceFolder> {
  const guard = new ArchiveGuard(limits);
  const files: SourceFile[] = [];
  const paths = new ArchivePaths();
  const archive = extract();
  archive.on('entry', (header, content, next) => {
    // The archive fails with the same error and reports it.
    content.on('error', () => undefined);
    takeEntry(header, content as AsyncIterable<Uint8Array>, { root, paths, guard, limits }).then((file) => {
      if (file !== undefined) files.push(file);
      next();
    }, next);
  });
  try {
    await pipeline(source, guard.countSent(), createGunzip(), guard.countUnpacked(), into(archive), { signal });
  } catch (error) {
    if (error instanceof KilnError || signal.aborted) throw error;
    throw unreadable(error as NodeJS.ErrnoException);
  }
  if (files.length === 0) throw new KilnError('bad_request', 'the archive holds no file', { fix: 'send a gzip tar of the folder' });
  return new SourceFolder(root, files);
}

interface Unpacking {
  root: string;
  paths: ArchivePaths;
  guard: ArchiveGuard;
  limits: UnpackLimits;
}

async function takeEntry(header: Header, content: AsyncIterable<Uint8Array>, to: Unpacking): Promise<SourceFile | undefined> {
  const { name, size, type } = header;
  if (name.split('/').some((segment) => LEFT_OUT.has(segment))) {
    to.guard.enter(name, size);
    await drain(content);
    return undefined;
  }
  if (type !== 'file' && type !== 'directory') throw refusal(name, `is a ${type ?? 'special file'}; only files and folders are taken`);
  const path = to.paths.add(name, type === 'file' ? 'file' : 'folder');
  if (to.paths.count > to.limits.files) throw refusal(name, `is one more than ${to.limits.files} files and folders`);
  to.guard.enter(name, size);
  if (type === 'file') return await writeFile(to.root, path, header, content);
  await mkdir(join(to.root, path), { recursive: true });
  await drain(content);
  return undefined;
}

async function writeFile(root: string, path: string, header: Header, content: AsyncIterable<Uint8Array>): Promise<SourceFile> {
  const { size = 0, mode = 0 } = header;
  const target = join(root, path);
  await mkdir(dirname(target), { recursive: true });
  const hash = createHash('sha256');
  // Fails where the path exists already.
  const file = await open(target, 'wx', 0o600);
  try {
    for await (const chunk of content) {
      hash.update(chunk);
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
  return { path, size, executable: (mode & 0o100) !== 0, hash: hash.digest('hex') };
}

async function drain(content: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _chunk of content);
}

/** Wraps the archive reader, which is no stream of Node's own, for Node's pipeline. */
function into(archive: Extract): Writable {
  const writable = new Writable({
    write(chunk, _encoding, done) {
      if (archive.write(chunk)) done();
      else archive.once('drain', () => done());
    },
    final(done) {
      archive.once('finish', () => done());
      archive.end(null);
    },
    destroy(error, done) {
      archive.destroy();
      done(error);
    },
  });
  archive.on('error', (error) => writable.destroy(error));
  return writable;
}

/** Counts bytes before and after the gunzip: it stops a zip bomb and an endless upload early. */
class ArchiveGuard {
  #unpacked = 0;
  #promised = 0;
  #accountedFor = 0;

  constructor(private readonly limits: UnpackLimits) {}

  /** Counts the declared size at once: a zip bomb stops before its first byte is written. */
  enter(name: string, size: number): void {
    this.#promised += size;
    if (this.#promised > this.limits.unpackedBytes)
      throw refusal(name, `makes the archive larger than ${this.limits.unpackedBytes} bytes unpacked`);
    this.#accountedFor = this.#unpacked + size + BLOCK;
  }

  countSent(): Transform {
    let sent = 0;
    return counter((bytes) => {
      sent += bytes;
      return sent > this.limits.unpackedBytes ? tooLarge(`more than ${this.limits.unpackedBytes} bytes were sent`) : undefined;
    });
  }

  countUnpacked(): Transform {
    return counter((bytes) => {
      this.#unpacked += bytes;
      return this.#unpacked > this.#accountedFor + MAX_BETWEEN_ENTRIES ? tooLarge('its headers or its end are too long') : undefined;
    });
  }
}

function counter(count: (bytes: number) => Error | undefined): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      done(count(chunk.length) ?? null, chunk);
    },
  });
}

function tooLarge(why: string): KilnError {
  return new KilnError('bad_request', `the archive is too large: ${why}`);
}

function unreadable(error: NodeJS.ErrnoException): KilnError {
  // A full disk is a fault of the node, not of the sender.
  if (error.code === 'ENOSPC') return new KilnError('unavailable', 'the node has no disk space left for the build', { cause: error });
  const fix = 'send a gzip tar of the folder';
  return new KilnError('bad_request', `the body is not a whole gzip tar: ${error.message}`, { fix, cause: error });
}
