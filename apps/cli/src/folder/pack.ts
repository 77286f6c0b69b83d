import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { packFiles as packContents } from '@kiln/project/pack';
import { Failure } from '../failure.js';
import type { HashedFile } from './hash-files.js';

/** A gzip tar of the files, made while it is read. `replaced` has other contents for some paths. */
export function packFiles(files: readonly HashedFile[], replaced: ReadonlyMap<string, string> = new Map()): Readable {
  return packContents(files, contentOf, replaced);
}

/** The content of a file. Fails when it differs from the hash: the digest of a version must match what was sent. */
async function* contentOf({ source, size, hash }: HashedFile): AsyncGenerator<Buffer> {
  const content = createHash('sha256');
  if (size > 0) {
    for await (const chunk of createReadStream(source, { end: size - 1 }) as AsyncIterable<Buffer>) {
      content.update(chunk);
      yield chunk;
    }
  }
  if (content.digest('hex') !== hash)
    throw new Failure(`${source} changed while it was packed`, 'deploy again when nothing writes to the folder');
}
