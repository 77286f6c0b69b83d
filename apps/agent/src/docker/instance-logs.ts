import type { Readable } from 'node:stream';
import { Demultiplexer } from '@kiln/engine/output-frames';
import type { OutputSource } from '@kiln/instances/port/container-driver';
import type Dockerode from 'dockerode';
import { within } from './deadline.js';

const ATTACH_MS = 10_000;
/**
 * The agent reads so much output at once, and so much a second on average. Beyond that, writes of the container block. The engine needs
 * CPU time for each byte of output, and the agent drops lines above 1 MiB a second in any case.
 */
const BYTES_AT_ONCE = 32 * 1024 * 1024;
const BYTES_PER_SECOND = 4 * 1024 * 1024;
const PAUSE_MS = 100;

/** The output of one container. */
export interface Output {
  /** Resolves when all output is passed on. */
  readonly ended: Promise<void>;
  /** False when the stream has ended, also where the engine broke it. */
  readonly open: boolean;
  close(): void;
}

/** Attaches to a container before its start, so that no output is lost; never to its stdin. */
export async function attachOutput(
  container: Dockerode.Container,
  onOutput: (source: OutputSource, chunk: Buffer) => void,
): Promise<Output> {
  const stream = await within('attach to a container', ATTACH_MS, async () => {
    // No abort signal: it would stay tied to the stream as long as the container lives.
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
    // A broken stream ends the output; the events tell when the container ends.
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
