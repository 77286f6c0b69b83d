import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { FastifyReply } from 'fastify';

/** After so much silence an empty line goes out, so that no balancer or client takes the connection for dead. */
const KEEP_ALIVE_MS = 15_000;
const SILENCE = Symbol('silence');

export interface LineOptions {
  /** The head goes out with the first line, or after so long without one; an error before that is an answer of its own. */
  headWithinMs: number;
  /** While it is true the connection is not silent, for the caller still sends: the head may wait. */
  stillReceiving?: () => boolean;
  /** The line that tells of an error when the head is out. */
  failed(error: unknown): object;
}

/** Answers with JSON lines as they come, no faster than the caller reads. @throws what came instead of a first line */
export async function sendLines(reply: FastifyReply, lines: AsyncGenerator<object>, options: LineOptions): Promise<void> {
  const chunks = textOf(lines, options);
  const first = await chunks.next();
  const all = Readable.from(
    (async function* () {
      if (!first.done) yield first.value;
      yield* chunks;
    })(),
  );
  await reply.type('application/x-ndjson').send(all);
}

/** Aborted when the caller leaves before it has the whole answer. */
export function callerGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new KilnError('bad_request', 'the caller has left'));
  });
  return gone.signal;
}

async function* textOf(
  lines: AsyncGenerator<object>,
  { headWithinMs, failed, stillReceiving = () => false }: LineOptions,
): AsyncGenerator<string> {
  let begun = false;
  try {
    let next = ask(lines);
    for (;;) {
      const result = await within(next, begun ? KEEP_ALIVE_MS : headWithinMs);
      if (result === SILENCE && !begun && stillReceiving()) continue;
      if (result !== SILENCE && result.done) return;
      begun = true;
      if (result === SILENCE) yield '\n';
      else {
        yield `${JSON.stringify(result.value)}\n`;
        next = ask(lines);
      }
    }
  } catch (error) {
    if (!begun) throw error;
    yield `${JSON.stringify(failed(error))}\n`;
  } finally {
    // Not awaited: it waits for the line that is being made, which the signal of a departed caller ends.
    lines.return(undefined).catch(() => undefined);
  }
}

function ask(lines: AsyncGenerator<object>): Promise<IteratorResult<object>> {
  const next = lines.next();
  // When the caller leaves nobody waits for this line any more.
  next.catch(() => undefined);
  return next;
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | typeof SILENCE> {
  const timer = new AbortController();
  try {
    return await Promise.race([promise, delay(ms, SILENCE, { signal: timer.signal })]);
  } finally {
    timer.abort();
  }
}
