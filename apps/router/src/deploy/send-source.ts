import type { Readable, Writable } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';

/** Bytes of a folder as a gzip tar. */
export const MAX_SOURCE_BYTES = 256 * 1024 * 1024;
/** What a caller still sends when nobody wants it any more is thrown away for so long, so that it can read its answer. */
const DISCARD_MS = 30_000;

/**
 * Sends a caller's upload on, no faster than the receiver takes it. When it resolves the receiver has all of it, or wants no more.
 * The source is never destroyed while its caller could still read an answer on the same connection.
 * @throws KilnError `payload_too_large`, or the error of a source that broke off
 */
export function sendSource(source: Readable, target: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    const end = (error?: Error) => {
      source.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
      target.off('drain', onDrain).off('close', onTargetClose);
      discard(source);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_SOURCE_BYTES) end(tooLarge());
      else if (!target.write(chunk)) source.pause();
    };
    const onDrain = () => source.resume();
    const onEnd = () => {
      source.off('close', onBroken);
      target.end(() => end());
    };
    const onBroken = () => end(new KilnError('bad_request', 'the upload broke off'));
    const onTargetClose = () => end();
    source.on('data', onData).once('end', onEnd).once('error', onBroken).once('close', onBroken);
    target.on('drain', onDrain).once('close', onTargetClose);
    if (source.destroyed) onBroken();
  });
}

/** Reads on into nothing until the source has ended, for a while. */
export function discard(source: Readable): void {
  if (source.destroyed || source.readableEnded) return;
  const timer = setTimeout(() => source.destroy(), DISCARD_MS).unref();
  source
    .once('close', () => clearTimeout(timer))
    .on('error', () => clearTimeout(timer))
    .resume();
}

export function tooLarge(): KilnError {
  return new KilnError('payload_too_large', `the source is larger than ${MAX_SOURCE_BYTES / 1024 / 1024} MiB`, {
    fix: 'leave out what the build does not need: list it in .dockerignore',
  });
}
