import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { makeWorkspace } from '@kiln/builder/source/workspace';
import { KilnError } from '@kiln/contract/errors';
import { MAX_SOURCE_BYTES, passUpload } from '@kiln/forward/exchange/upload';

/** For a whole upload. */
const RECEIVE_MS = 600_000;

/**
 * Writes a source to the disk, so that a build does not wait for its sender. @param idleMs without a byte
 * @throws KilnError where the upload is incomplete, or the signal aborts; leaves no file then
 */
export async function receiveSource(source: Readable, folder: string, { signal, idleMs }: { signal: AbortSignal; idleMs?: number }) {
  const root = await makeWorkspace(folder);
  const path = join(root, 'source.tgz');
  const timeout = AbortSignal.timeout(RECEIVE_MS);
  const file = addAbortSignal(AbortSignal.any([signal, timeout]), createWriteStream(path, { flags: 'wx', mode: 0o600 }));
  const remove = () => rm(root, { recursive: true, force: true });
  // An error closes the file, which ends the upload; `errored` keeps the error.
  file.on('error', () => undefined);
  try {
    await passUpload(source, file, { maxBytes: MAX_SOURCE_BYTES, idleMs });
    if (signal.aborted) throw new KilnError('unavailable', 'the build was cancelled');
    if (timeout.aborted) throw new KilnError('bad_request', `the upload took longer than ${RECEIVE_MS / 1000} s`);
    if (file.errored !== null) throw file.errored;
    return { read: () => createReadStream(path), remove };
  } catch (error) {
    file.destroy();
    await remove();
    throw error;
  }
}
