import type { IncomingMessage } from 'node:http';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isErrorCode } from '@kiln/contract/errors';
import { ERROR } from '@kiln/contract/headers';
import { type Command, Option } from 'commander';
import { examples, newCommand, type Session } from '../command.js';
import { connect, findCredentials } from '../connection.js';
import { EXIT, exitCodeOf, Failure } from '../failure.js';
import { type FunctionReference, parseReference } from '../function-reference.js';
import { requirePath, type Target, targetOf, wantsKey } from '../invoke/address.js';
import { parseHeaders, readBody } from '../invoke/body.js';
import { send } from '../invoke/send.js';
import { neutralisedStream } from '../output/neutralise.js';
import { print } from '../output/print.js';

/** What `-o json` holds at most: it has to be held whole. */
const MAX_JSON_BODY_BYTES = 32 * 1024 * 1024;

interface InvokeOptions {
  request?: string;
  data?: string;
  header: string[];
  include?: boolean;
  output?: 'text' | 'json';
}

export function invokeCommand(session: Session): Command {
  return newCommand('invoke', session)
    .summary('call a function')
    .description(
      "Calls a function and streams the answer's body to stdout, as it is. An answer of 400 or above ends with an exit code other than 0.",
    )
    .argument('<name[@version]>', 'the function, or one version of it')
    .argument('[path]', 'path and query inside the function', '/')
    .option('-X, --request <method>', 'method (default: GET, with -d POST)')
    .option('-d, --data <data>', 'body: the text itself, @file, or - for stdin')
    .option('-H, --header <header>', "a header, 'name: value'; may be repeated", (line: string, all: string[]) => [...all, line], [])
    .option('-i, --include', 'show status and headers on stderr')
    .addOption(
      new Option('-o, --output <format>', 'text: the body as it is (default); json: status, headers and body in one object').choices([
        'text',
        'json',
      ]),
    )
    .addHelpText(
      'after',
      examples([
        ['kiln invoke hello', 'GET /'],
        ["kiln invoke hello '/?name=kiln'", 'with a query'],
        [`kiln invoke orders -d '{"id": 7}' /new`, 'POST with a JSON body'],
        ['kiln invoke resize@2 -d @photo.jpg > small.jpg', 'one version, files both ways'],
      ]),
    )
    .action((reference: string, path: string, options: InvokeOptions) =>
      invoke(session, parseReference(reference), requirePath(path), options),
    );
}

async function invoke(session: Session, reference: FunctionReference, path: string, options: InvokeOptions): Promise<void> {
  const { terminal } = session;
  const headers = parseHeaders(options.header);
  const body = options.data === undefined ? undefined : await readBody(options.data, terminal.streams.stdin);
  const { target, key } = await locate(session, reference, path);
  if (key !== undefined && !headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'authorization')) {
    headers.push('Authorization', `Bearer ${key}`);
  }
  const method = options.request?.toUpperCase() ?? (body ? 'POST' : 'GET');
  const answer = await send({ target, method, headers, body, signal: terminal.interrupted });
  if (options.include) showHead(session, answer);
  if (options.output === 'json') await printWhole(session, answer);
  else await relay(session, answer);
  refuseFailure(reference.name, answer);
}

/** The stored key goes along only to functions that ask for one: it is no function's business otherwise. */
async function locate(
  session: Session,
  { name, version }: FunctionReference,
  path: string,
): Promise<{ target: Target; key: string | undefined }> {
  const client = connect(session);
  const [view, versions] = await Promise.all([client.functions.get(name), client.versions.list(name)]);
  const key = wantsKey(view, versions, version) ? findCredentials(session).apiKey : undefined;
  return { target: targetOf(view, version, path), key };
}

function showHead({ terminal }: Session, answer: IncomingMessage): void {
  terminal.say(`${answer.statusCode} ${answer.statusMessage ?? ''}`.trimEnd());
  for (let i = 0; i < answer.rawHeaders.length; i += 2) terminal.say(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`);
  terminal.say('');
}

async function relay({ terminal }: Session, answer: IncomingMessage): Promise<void> {
  const { stdout } = terminal.streams;
  // The process's own stdout outlives the answer.
  const sink = new Writable({
    write(chunk: Buffer | string, _encoding, done) {
      if (stdout.write(chunk)) done();
      else stdout.once('drain', done);
    },
  });
  try {
    if (terminal.dataIsShown) await pipeline(answer, neutralisedStream(), sink);
    else await pipeline(answer, sink);
  } catch (error) {
    throw new Failure(`the answer broke off: ${(error as Error).message}`, 'see what happened: kiln logs <function>', EXIT.failed);
  }
}

async function printWhole({ terminal }: Session, answer: IncomingMessage): Promise<void> {
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
  print(terminal, { output: 'json' }, { status: answer.statusCode, headers: answer.headers, ...body }, () => '');
}

function refuseFailure(name: string, answer: IncomingMessage): void {
  const status = answer.statusCode ?? 0;
  if (status < 400) return;
  const code = answer.headers[ERROR];
  if (typeof code === 'string' && isErrorCode(code)) {
    throw new Failure(
      `${name} answered ${status}, made by Kiln: ${code}`,
      `see why: kiln logs ${name}, kiln inspect ${name}`,
      exitCodeOf(code),
      code,
    );
  }
  throw new Failure(`${name} answered ${status}`, `see what it logged: kiln logs ${name}`);
}
