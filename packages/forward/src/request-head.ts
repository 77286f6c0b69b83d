import { get, is } from './headers.js';

/** A request that can't be written as HTTP/1.1. Nothing of it was sent, and no other server could be sent it. */
export class UnsendableError extends Error {}

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TARGET = /^[\x21-\xff]+$/;
const NAME = METHOD;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * The bytes of a request's head, as latin1 text. What came in through a parser is checked once more: a line end in any of these
 * would be another request.
 * @param host for the `Host` header of a request that came without one, as HTTP/1.0 allows
 * @param chunked the body is sent in chunks, and the head has to say so
 * @throws UnsendableError
 */
export function requestHead(method: string, path: string, headers: readonly string[], host: string, chunked: boolean): string {
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
  return chunked ? `${head}Transfer-Encoding: chunked\r\n\r\n` : `${head}\r\n`;
}

/** Whether a streamed body has to go in chunks: nobody has said how long it is. */
export function needsChunks(headers: readonly string[]): boolean {
  return get(headers, 'content-length') === undefined;
}
