import http from 'node:http';
import { Readable } from 'node:stream';

export interface CallOptions {
  method?: string;
  /** A flat list is sent as it is, order, case and duplicates included. */
  headers?: string[] | Record<string, string>;
  body?: string | Buffer | Readable;
  agent?: http.Agent;
  signal?: AbortSignal;
  timeoutMs?: number;
}

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  rawHeaders: string[];
  body: Buffer;
  text: string;
  trailers: NodeJS.Dict<string>;
  /** From the first byte sent to the last byte received. */
  ms: number;
  json<T = unknown>(): T;
}

const TIMEOUT_MS = 60_000;

/** One HTTP/1.1 exchange on a connection of its own, with the raw header lines at hand both ways. */
export async function call(port: number, path: string, options: CallOptions = {}): Promise<Answer> {
  const started = performance.now();
  const { response, done } = await open(port, path, options);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  await done;
  const body = Buffer.concat(chunks);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    body,
    text: body.toString('utf8'),
    trailers: response.trailers,
    ms: performance.now() - started,
    json: <T>() => JSON.parse(body.toString('utf8')) as T,
  };
}

export interface Opened {
  request: http.ClientRequest;
  response: http.IncomingMessage;
  /** Settles when the request's body went out; an answer may come before. */
  done: Promise<void>;
}

/** The same up to the answer's head: for bodies that stream. */
export function open(port: number, path: string, options: CallOptions = {}): Promise<Opened> {
  const { body, signal } = options;
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1',
      port,
      path,
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
      agent: options.agent ?? false,
      setHost: !hasHost(options.headers),
      ...(signal && { signal }),
    });
    let answered = false;
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer from ${path} within ${options.timeoutMs ?? TIMEOUT_MS} ms`)),
      options.timeoutMs ?? TIMEOUT_MS,
    );
    const done = new Promise<void>((sent) => {
      request.once('finish', sent);
      request.once('close', sent);
    });
    request.on('error', (error) => {
      clearTimeout(timer);
      if (!answered) reject(error);
    });
    request.once('response', (response) => {
      answered = true;
      response.once('close', () => clearTimeout(timer));
      resolve({ request, response, done });
    });
    send(request, body);
  });
}

function send(request: http.ClientRequest, body: CallOptions['body']): void {
  if (!(body instanceof Readable)) {
    request.end(body);
    return;
  }
  body.on('error', (error) => request.destroy(error));
  body.pipe(request);
}

function hasHost(headers: CallOptions['headers']): boolean {
  if (headers === undefined) return false;
  const names = Array.isArray(headers) ? headers.filter((_, i) => i % 2 === 0) : Object.keys(headers);
  return names.some((name) => name.toLowerCase() === 'host');
}

/** The values of a header as the lines came in, unjoined. */
export function values(rawHeaders: readonly string[], name: string): string[] {
  const found: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === name) found.push(rawHeaders[i + 1] ?? '');
  }
  return found;
}
