import { is } from '../headers/headers.js';

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
