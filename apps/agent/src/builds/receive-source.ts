import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { makeWorkspace } from '@kiln/builder/source/workspace';
import { KilnError } from '@kiln/contract/errors';
import { MAX_SOURCE_BYTES, passUpload } from '@kiln/forward/exchange/upload';

/** All of an upload, however slowly it comes. */
const RECEIVE_MS = 600_000;

export interface ReceivedSource {
  read(): Readable;
  /** Removes it. */
  remove(): Promise<void>;
}

export interface ReceiveOptions {
  signal: AbortSignal;
  /** ms without a byte. */
  idleMs?: number;
}

/**
 * Takes a source onto the disk, so that nobody has to wait for its sender later.
 * @throws KilnError where it does not come whole, or the signal is aborted; nothing of it stays behind
 */
export async function receiveSource(source: Readable, folder: string, { signal, idleMs }: ReceiveOptions): Promise<ReceivedSource> {
  const root = await makeWorkspace(folder);
  const path = join(root, 'source.tgz');
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
  const remove = () => rm(root, { recursive: true, force: true });
  // Its end ends the upload, whatever the reason.
  let why: Error | undefined;
  const stop = (error: Error) => {
    why ??= error;
    file.destroy();
  };
  const onAbort = () => stop(new KilnError('unavailable', 'the build was cancelled'));
  const timer = setTimeout(() => stop(new KilnError('bad_request', `the upload took longer than ${RECEIVE_MS / 1000} s`)), RECEIVE_MS);
  file.on('error', stop);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) onAbort();
    await passUpload(source, file, { maxBytes: MAX_SOURCE_BYTES, ...(idleMs !== undefined && { idleMs }) });
    if (why !== undefined) throw why;
    return { read: () => createReadStream(path), remove };
  } catch (error) {
    file.destroy();
    await remove();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
