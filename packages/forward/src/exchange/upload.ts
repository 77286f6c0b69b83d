import type { Readable, Writable } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';

/** Bytes of a function's folder as a gzip tar. */
export const MAX_SOURCE_BYTES = 256 * 1024 * 1024;
/** A sender that is silent for so long while more is wanted of it is cut off: others wait for what it holds. */
const IDLE_MS = 30_000;
/** What a sender still sends when nobody wants it any more is thrown away for so long, so that it can read its answer. */
const DISCARD_MS = 30_000;

export interface UploadBounds {
  maxBytes: number;
  /** ms without a byte while more is wanted. */
  idleMs?: number;
}

/**
 * Passes an upload on, no faster than it is taken, until the receiver has all, or wants no more. Its sender can still read an answer on
 * the same connection. @throws KilnError `payload_too_large`; `bad_request` where the sender broke off or fell silent
 */
export function passUpload(source: Readable, target: Writable, { maxBytes, idleMs = IDLE_MS }: UploadBounds): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    const end = (error?: Error) => {
      clearTimeout(idle);
      source.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
      target.off('drain', onDrain).off('close', onTargetClose);
      discard(source);
      if (error === undefined) resolve();
      else reject(error);
    };
    let idle = setTimeout(onIdle, idleMs);
    function onIdle() {
      end(new KilnError('bad_request', `the upload stopped: no byte came for ${idleMs / 1000} s`, { fix: 'send it again' }));
    }
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) end(tooLarge(maxBytes));
      else if (target.write(chunk)) idle.refresh();
      else {
        // From here on the receiver is waited for, not the sender.
        clearTimeout(idle);
        source.pause();
      }
    };
    const onDrain = () => {
      idle = setTimeout(onIdle, idleMs);
      source.resume();
    };
    const onEnd = () => {
      source.off('close', onBroken);
      clearTimeout(idle);
      target.end(() => end());
    };
    const onBroken = () => end(new KilnError('bad_request', 'the upload broke off'));
    const onTargetClose = () => end();
    source.on('data', onData).once('end', onEnd).once('error', onBroken).once('close', onBroken);
    target.on('drain', onDrain).once('close', onTargetClose);
    if (source.destroyed) onBroken();
    else if (target.destroyed) onTargetClose();
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

export function tooLarge(maxBytes: number = MAX_SOURCE_BYTES): KilnError {
  return new KilnError('payload_too_large', `the upload is larger than ${maxBytes / 1024 / 1024} MiB`, {
    fix: 'leave out what the build does not need: list it in .dockerignore',
  });
}
