import type { IncomingMessage } from 'node:http';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../failure.js';
import { neutralisedStream } from '../output/neutralise.js';
import { print } from '../output/print.js';
import type { Terminal } from '../output/terminal.js';

/** The limit of `-o json`, which has to hold the whole body in memory. */
const MAX_JSON_BODY_BYTES = 32 * 1024 * 1024;
/** The part of the body that is kept, enough for an error of Kiln. */
const KEPT_BYTES = 64 * 1024;

export function showHead(answer: IncomingMessage, terminal: Terminal): void {
  terminal.say(`${answer.statusCode} ${answer.statusMessage ?? ''}`.trimEnd());
  for (let i = 0; i < answer.rawHeaders.length; i += 2) terminal.say(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`);
  terminal.say('');
}

/** Streams the body to stdout and returns its start. @throws Failure when the connection breaks */
export async function relayBody(answer: IncomingMessage, terminal: Terminal): Promise<string> {
  const { stdout } = terminal.streams;
  const kept: Buffer[] = [];
  let size = 0;
  // `pipeline` closes its last stream, and stdout has to stay open.
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (size < KEPT_BYTES) kept.push(chunk);
      size += chunk.length;
      if (stdout.write(chunk)) done();
      else stdout.once('drain', done);
    },
  });
  let last = '\n';
  const remember = async function* (chunks: AsyncIterable<string | Buffer>) {
    for await (const chunk of chunks) {
      if (chunk.length > 0) last = String(chunk).slice(-1);
      yield chunk;
    }
    // The shell's prompt has to start on a new line.
    if (last !== '\n') yield '\n';
  };
  try {
    if (terminal.dataIsShown) await pipeline(answer, neutralisedStream(), remember, sink);
    else await pipeline(answer, sink);
  } catch (error) {
    const message = `the connection broke during the response: ${(error as Error).message}`;
    throw new Failure(message, 'see what happened: kiln logs <function>, kiln status');
  }
  return Buffer.concat(kept).toString('utf8');
}

/** Prints status, headers and body as one object, and returns the body. */
export async function printWhole(answer: IncomingMessage, terminal: Terminal): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_JSON_BODY_BYTES)
      throw new Failure(`the body is over ${MAX_JSON_BODY_BYTES} bytes`, 'stream it instead: leave out -o json');
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString('utf8');
  const body = Buffer.from(text, 'utf8').equals(bytes) ? { body: text } : { bodyBase64: bytes.toString('base64') };
  print(terminal, { output: 'json' }, { status: answer.statusCode, headers: answer.headers, ...body }, String);
  return text;
}
