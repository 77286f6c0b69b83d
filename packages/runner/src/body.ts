import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';

export interface ParsedRequest extends IncomingMessage {
  /** The body's bytes as they were sent; empty where there is none. */
  rawBody?: Buffer;
  /** JSON and forms as values, text as a string, everything else as `rawBody`; `{}` where there is no body. */
  body?: unknown;
}

type Parser = (request: IncomingMessage, response: ServerResponse, next: (error?: Error) => void) => void;

const NOTHING = Buffer.alloc(0);
let parsers: Promise<Parser[]> | undefined;

/**
 * Reads the whole body into `rawBody` and puts it back, so that the parsers of an Express app, and code that pipes the request, can
 * still read the stream.
 * @throws Error where the client leaves before the end
 */
export async function readBody(request: ParsedRequest): Promise<void> {
  request.rawBody = hasBody(request) ? await readAndPutBack(request) : NOTHING;
}

/** Sets `body` from `rawBody` as Express's parsers do. @throws Error with a `status` where the body does not match its content type */
export async function parseBody(request: ParsedRequest, response: ServerResponse): Promise<void> {
  const { headers, rawBody: raw = NOTHING } = request;
  if (!hasBody(request)) {
    request.body = {};
    return;
  }
  parsers ??= loadParsers();
  const copy = Object.assign(Readable.from([raw], { objectMode: false }), { headers, body: undefined as unknown });
  for (const parser of await parsers) {
    await new Promise<void>((resolve, reject) => {
      parser(copy as unknown as IncomingMessage, response, (error) => (error === undefined ? resolve() : reject(error)));
    });
    if (copy.body !== undefined) break;
  }
  request.body = copy.body === undefined ? raw : copy.body;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

async function loadParsers(): Promise<Parser[]> {
  const { default: express } = await import('express');
  // The platform bounds the body (`maxBody`); a second bound here could only differ from it.
  const limit = Number.POSITIVE_INFINITY;
  return [
    express.json({ limit, strict: false, type: ['application/json', 'application/*+json'] }),
    express.urlencoded({ limit, extended: true, parameterLimit: 100_000 }),
    express.text({ limit, type: 'text/*' }),
  ] as Parser[];
}

function readAndPutBack(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const done = (settle: () => void) => {
      request.off('readable', take).off('close', gone).off('error', gone);
      settle();
    };
    const gone = () => done(() => reject(new Error('the client left before the end of its body')));
    const take = () => {
      for (let chunk = request.read() as Buffer | null; chunk !== null; chunk = request.read() as Buffer | null) chunks.push(chunk);
      if (!request.complete) return;
      const whole = Buffer.concat(chunks);
      // The body is complete, and 'end' comes only in a later tick: put back now, the stream is as before.
      if (whole.length > 0) request.unshift(whole);
      done(() => resolve(whole));
    };
    request.on('readable', take).on('close', gone).on('error', gone);
  });
}
