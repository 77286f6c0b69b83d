import type { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import type { OutputSource } from '../pool/container-driver.js';
import { within } from './deadline.js';
import { Demultiplexer } from './demultiplex.js';

const ATTACH_MS = 10_000;
/** More than this in one window and the rest waits: the container's own writes then block, nobody else's work does. */
const WINDOW_MS = 100;
const WINDOW_BYTES = 4 * 1024 * 1024;

/** The output of one container. */
export interface Output {
  /** Resolves when all of it was handed over. */
  readonly ended: Promise<void>;
  /** False once the stream is over, be it for the engine's sake. */
  readonly open: boolean;
  close(): void;
}

/** Attaches to a container that is not started yet, so that nothing is missed; never to its stdin. */
export async function attachOutput(
  container: Dockerode.Container,
  onOutput: (source: OutputSource, chunk: Buffer) => void,
): Promise<Output> {
  const stream = await within('attach to a container', ATTACH_MS, async () => {
    // No abort signal: it would stay tied to the stream for the container's whole life.
    return (await container.attach({ stream: true, stdout: true, stderr: true })) as unknown as Readable;
  });
  const demultiplexer = new Demultiplexer(onOutput);
  let bytes = 0;
  let windowEnds = 0;
  stream.on('data', (chunk: Buffer) => {
    demultiplexer.push(chunk);
    const now = performance.now();
    if (now >= windowEnds) {
      windowEnds = now + WINDOW_MS;
      bytes = 0;
    }
    bytes += chunk.length;
    if (bytes < WINDOW_BYTES) return;
    stream.pause();
    setTimeout(() => stream.resume(), windowEnds - now);
  });
  const ended = new Promise<void>((resolve) => {
    stream.once('close', resolve);
    stream.once('end', resolve);
    // A broken stream ends the output; the container itself is watched by its events.
    stream.once('error', () => resolve());
  });
  return {
    ended,
    get open() {
      return !stream.destroyed && !stream.readableEnded;
    },
    close: () => stream.destroy(),
  };
}
