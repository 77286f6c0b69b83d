import { STATUS_CODES } from 'node:http';
import type { Readable } from 'node:stream';

/** Header lists are flat, `[name, value, name, value, …]`, as Node's `rawHeaders`: order, case and repeated lines survive. */

/** True for the names that belong to one connection and never travel further (RFC 9110 section 7.6.1). */
export function isHopByHop(name: string): boolean {
  switch (name.length) {
    case 2:
      return is(name, 'te');
    case 7:
      return is(name, 'upgrade') || is(name, 'trailer');
    case 10:
      return is(name, 'connection') || is(name, 'keep-alive');
    case 16:
      return is(name, 'proxy-connection');
    case 17:
      return is(name, 'transfer-encoding');
    case 18:
      return is(name, 'proxy-authenticate');
    case 19:
      return is(name, 'proxy-authorization');
    default:
      return false;
  }
}

/** Compares a header name with a lower-case one. */
export function is(name: string, lower: string): boolean {
  return name === lower || (name.length === lower.length && name.toLowerCase() === lower);
}

/** The first value of a header. */
export function get(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if (is(raw[i]!, name)) return raw[i + 1];
  return undefined;
}

/** True where a name starts with `prefix` in any case; `_` counts as `-`, because many servers treat them alike. */
export function hasPrefix(name: string, prefix: string): boolean {
  if (name.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) {
    let code = name.charCodeAt(i);
    if (code >= 65 && code <= 90) code += 32;
    else if (code === 95) code = 45;
    if (code !== prefix.charCodeAt(i)) return false;
  }
  return true;
}

/** Adds the header names that a `Connection` value lists; undefined as long as there are none worth a second look. */
export function addConnectionNames(before: string[] | undefined, value: string): string[] | undefined {
  let named = before;
  if (value === 'keep-alive' || value === 'close') return named;
  for (const token of value.split(',')) {
    const name = token.trim().toLowerCase();
    if (name === '' || KEPT_DESPITE_CONNECTION.has(name)) continue;
    if (named === undefined) named = [name];
    else named.push(name);
  }
  return named;
}

/** The list without the headers named (lower case). */
export function withoutNamed(raw: readonly string[], named: readonly string[]): string[] {
  const kept: string[] = [];
  // A caller may name thousands of them beside thousands of lines.
  const dropped = named.length > FEW ? new Set(named) : { has: (name: string) => named.includes(name) };
  for (let i = 0; i < raw.length; i += 2) {
    if (!dropped.has(raw[i]!.toLowerCase())) kept.push(raw[i]!, raw[i + 1]!);
  }
  return kept;
}

const FEW = 4;
// Connection options that are no headers, and headers whose loss would change what the message is.
const KEPT_DESPITE_CONNECTION = new Set(['keep-alive', 'close', 'upgrade', 'host', 'content-length', 'content-type', 'content-encoding']);

/** A request that can't be written as HTTP/1.1. Nothing of it was sent, and no other server could be sent it. */
export class UnsendableError extends Error {}

/** Of a body: chunks, its length, or as the headers say. */
type Framing = 'chunked' | number | undefined;

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TARGET = /^[\x21-\xff]+$/;
const NAME = METHOD;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * A request's head, as latin1 text. What came through a parser is checked once more: a line end would be another request.
 * @param host where there is no `Host`, as HTTP/1.0 allows @param framing of the body, where the headers do not say @throws UnsendableError
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

/** The head of an answer of our own, for sockets that have no response object. */
export function answerHead(status: number, lines: readonly string[]): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\n`;
  for (let i = 0; i < lines.length; i += 2) head += `${lines[i]}: ${lines[i + 1]}\r\n`;
  return `${head}\r\n`;
}

/** The other side's answer breaks HTTP/1.1. The message names the rule. */
export class AnswerError extends Error {}

const LINE_END = '\r\n';
/** RFC 9110 section 5: token names, and values without a control character but the tab. No folded lines, no bare CR or LF. */
const FIELD_LINE = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+:[\\t\\x20-\\x7e\\x80-\\xff]*";
const FIELD_LINES = new RegExp(`^(?:${FIELD_LINE}\\r\\n)*$`);
const ONE_FIELD_LINE = new RegExp(`^${FIELD_LINE}$`);

/** The header lines from `start` on, each ended by CRLF, as a flat list. @throws AnswerError */
export function readFields(text: string, start: number): string[] {
  const lines = text.slice(start);
  if (!FIELD_LINES.test(lines)) throw new AnswerError(`header line ${badLine(lines)} is not a name, a colon and a value`);
  const headers: string[] = [];
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf(LINE_END, at);
    const colon = lines.indexOf(':', at);
    headers.push(lines.slice(at, colon), trimmed(lines, colon + 1, end));
    at = end + LINE_END.length;
  }
  return headers;
}

/** The list with the first `Content-Length` only, or with none. */
export function withLengths(headers: readonly string[], most: 0 | 1): string[] {
  const kept: string[] = [];
  let seen = 0;
  for (let i = 0; i < headers.length; i += 2) {
    if (!is(headers[i]!, 'content-length') || ++seen <= most) kept.push(headers[i]!, headers[i + 1]!);
  }
  return kept;
}

/** The number of the first line that is none, from 1. */
function badLine(lines: string): number {
  return lines.split(LINE_END).findIndex((line) => !ONE_FIELD_LINE.test(line)) + 1;
}

/** Without the white space around it. */
function trimmed(lines: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(lines.charCodeAt(from))) from++;
  while (to > from && isBlank(lines.charCodeAt(to - 1))) to--;
  return lines.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}
