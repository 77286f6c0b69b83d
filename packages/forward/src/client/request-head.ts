import type { Readable } from 'node:stream';
import { get, is } from '../headers/headers.js';

/** A request that can't be written as HTTP/1.1. Nothing of it was sent, and no other server could be sent it. */
export class UnsendableError extends Error {}

/** Of a body: chunks, its length, or as the headers say. */
type Framing = 'chunked' | number | undefined;

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TARGET = /^[\x21-\xff]+$/;
const NAME = METHOD;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * The bytes of a request's head, as latin1 text. What came in through a parser is checked once more: a line end in any of these
 * would be another request.
 * @param host for the `Host` header of a request that came without one, as HTTP/1.0 allows
 * @param framing how the body is framed, where the headers do not say so yet
 * @throws UnsendableError
 */
export function requestHead(method: string, path: string, headers: readonly string[], host: string, framing: Framing): string {
  if (!METHOD.test(method)) throw new UnsendableError('the method is not a token');
  if (!TARGET.test(path)) throw new UnsendableError('the request target has a character that it may not have');
  let head = `${method} ${path} HTTP/1.1\r\n`;
  let hasHost = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    const value = headers[i + 1]!;
    if (!NAME.test(name) || !VALUE.test(value)) throw new UnsendableError('a header has a character that it may not have');
    if (name.length === 4 && is(name, 'host')) hasHost = true;
    head += `${name}: ${value}\r\n`;
  }
  if (!hasHost) head += `Host: ${host}\r\n`;
  if (framing === 'chunked') return `${head}Transfer-Encoding: chunked\r\n\r\n`;
  return framing === undefined ? `${head}\r\n` : `${head}Content-Length: ${framing}\r\n\r\n`;
}

/** What a request's headers leave open: a body of unknown length that came whole meanwhile, as for a second try, has one. */
export function missingFraming(headers: readonly string[], body: Buffer | Readable | null): Framing {
  if (body === null || get(headers, 'content-length') !== undefined) return undefined;
  return Buffer.isBuffer(body) ? body.length : 'chunked';
}
