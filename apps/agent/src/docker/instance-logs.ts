import type { Readable } from 'node:stream';
import { Demultiplexer } from '@kiln/engine/output-frames';
import type { OutputSource } from '@kiln/instances/port/container-driver';
import type Dockerode from 'dockerode';
import { within } from './deadline.js';

const ATTACH_MS = 10_000;
/**
 * So much output is read at once, and so much a second on average. Beyond that it waits: the container's own writes block then.
 * What an engine does for each byte of output takes the machine's cores from everybody, and lines beyond 1 MiB a second are dropped anyway.
 */
const BYTES_AT_ONCE = 32 * 1024 * 1024;
const BYTES_PER_SECOND = 4 * 1024 * 1024;
const PAUSE_MS = 100;

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
  let allowance = BYTES_AT_ONCE;
  let countedAt = performance.now();
  stream.on('data', (chunk: Buffer) => {
    demultiplexer.push(chunk);
    const now = performance.now();
    allowance = Math.min(BYTES_AT_ONCE, allowance + ((now - countedAt) / 1000) * BYTES_PER_SECOND) - chunk.length;
    countedAt = now;
    if (allowance >= 0) return;
    stream.pause();
    setTimeout(() => stream.resume(), PAUSE_MS);
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
