import type { IncomingMessage } from 'node:http';
import { readProblem } from '@kiln/contract/api/problem';
import { isErrorCode, KilnError } from '@kiln/contract/errors';
import { ERROR } from '@kiln/contract/wire/headers';
import { Option } from 'commander';
import { KilnCommand, type Session } from '../../command.js';
import { connect, findCredentials } from '../../connection.js';
import { exitCodeOf, Failure, tell } from '../../failure.js';
import { type FunctionReference, parseReference } from '../../function-reference.js';
import { requirePath, targetOf, wantsKey } from '../../invoke/address.js';
import { parseHeaders, readBody } from '../../invoke/body.js';
import { send } from '../../invoke/send.js';
import { printWhole, relayBody, showHead } from '../../invoke/show-answer.js';
import type { OutputOptions } from '../../output/print.js';

interface InvokeOptions extends OutputOptions {
  request?: string;
  data?: string;
  header: string[];
  include?: boolean;
}

const OUTPUT = 'text: the body as it is (default); json: status, headers and body in one object';

export function invokeCommand(session: Session): KilnCommand {
  return new KilnCommand('invoke', session)
    .summary('call a function')
    .description(
      'Calls a function and streams the body of the response to stdout, unchanged. A status of 400 or above gives an exit code other than 0.',
    )
    .argument('<name[@version]>', 'the function, or one version of it', parseReference)
    .argument('[path]', 'path and query inside the function', requirePath, '/')
    .option('-X, --request <method>', 'method (default: GET, with -d POST)')
    .option('-d, --data <data>', 'body: the text itself, @file, or - for stdin')
    .option('-H, --header <header>', "a header, 'name: value'; may be repeated", (line: string, all: string[]) => [...all, line], [])
    .option('-i, --include', 'show status and headers on stderr')
    .addOption(new Option('-o, --output <format>', OUTPUT).choices(['text', 'json']))
    .examples(
      ['kiln invoke hello', 'GET /'],
      ["kiln invoke hello '/?name=kiln'", 'with a query'],
      [`kiln invoke orders -d '{"id": 7}' /new`, 'POST with a JSON body'],
      ['kiln invoke resize@2 -d @photo.jpg > small.jpg', 'one version, with files as input and output'],
    )
    .action((reference: FunctionReference, path: string, options: InvokeOptions) => invoke(session, reference, path, options));
}

async function invoke(session: Session, { name, version }: FunctionReference, path: string, options: InvokeOptions): Promise<void> {
  const { terminal } = session;
  const headers = parseHeaders(options.header);
  const body = options.data === undefined ? undefined : await readBody(options.data, terminal.streams.stdin);
  const client = connect(session);
  const [view, versions] = await Promise.all([client.functions.get(name), client.versions.list(name)]);
  // The stored key is sent only to a function that demands a key.
  const key = wantsKey(view, versions, version) ? findCredentials(session).apiKey : undefined;
  const target = targetOf(view, version, path);
  if (key !== undefined && !headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'authorization')) {
    headers.push('Authorization', `Bearer ${key}`);
  }
  const method = options.request?.toUpperCase() ?? (body ? 'POST' : 'GET');
  const answer = await send({ target, method, headers, body, signal: terminal.interrupted });
  if (options.include) showHead(answer, terminal);
  const text = options.output === 'json' ? await printWhole(answer, terminal) : await relayBody(answer, terminal);
  refuseFailure(name, answer, text);
}

/** @throws Failure for a status of 400 or above; for an error of Kiln, with Kiln's code and advice */
function refuseFailure(name: string, answer: IncomingMessage, text: string): void {
  const status = answer.statusCode ?? 0;
  if (status < 400) return;
  const code = answer.headers[ERROR];
  if (typeof code !== 'string' || !isErrorCode(code)) throw new Failure(`${name} answered ${status}`, `see its log: kiln logs ${name}`);
  const problem = readProblem(status, text);
  // The server's advice is for HTTP clients; the command line has its own for a wrong key.
  const { message, fix } = tell(code === 'unauthorized' ? new KilnError(code, problem.message) : problem);
  throw new Failure(`${name} answered ${status} (${code}). ${message}`, fix.replaceAll('<function>', name), exitCodeOf(code), code);
}
