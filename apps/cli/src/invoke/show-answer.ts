import type { IncomingMessage } from 'node:http';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../failure.js';
import { neutralisedStream } from '../output/neutralise.js';
import { print } from '../output/print.js';
import type { Terminal } from '../output/terminal.js';

/** What `-o json` holds at most: it has to be held whole. */
const MAX_JSON_BODY_BYTES = 32 * 1024 * 1024;
/** Enough of the body for a problem. */
const KEPT_BYTES = 64 * 1024;

export function showHead(answer: IncomingMessage, terminal: Terminal): void {
  terminal.say(`${answer.statusCode} ${answer.statusMessage ?? ''}`.trimEnd());
  for (let i = 0; i < answer.rawHeaders.length; i += 2) terminal.say(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`);
  terminal.say('');
}

/** Streams the body to stdout and gives its beginning. @throws Failure when it breaks off */
export async function relayBody(answer: IncomingMessage, terminal: Terminal): Promise<string> {
  const { stdout } = terminal.streams;
  const kept: Buffer[] = [];
  let size = 0;
  // The process's own stdout outlives the answer.
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
    // The prompt begins a line of its own.
    if (last !== '\n') yield '\n';
  };
  try {
    if (terminal.dataIsShown) await pipeline(answer, neutralisedStream(), remember, sink);
    else await pipeline(answer, sink);
  } catch (error) {
    throw new Failure(`the answer broke off: ${(error as Error).message}`, 'see what happened: kiln logs <function>, kiln status');
  }
  return Buffer.concat(kept).toString('utf8');
}

/** Prints status, headers and body in one object and gives the body. */
export async function printWhole(answer: IncomingMessage, terminal: Terminal): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_JSON_BODY_BYTES) {
      throw new Failure(`the body is over ${MAX_JSON_BODY_BYTES} bytes`, 'stream it instead: leave out -o json');
    }
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString('utf8');
  const body = Buffer.from(text, 'utf8').equals(bytes) ? { body: text } : { bodyBase64: bytes.toString('base64') };
  print(terminal, { output: 'json' }, { status: answer.statusCode, headers: answer.headers, ...body }, () => '');
  return text;
}
