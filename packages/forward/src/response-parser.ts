import { is } from './headers.js';

/** What a parser finds, in this order: any `onInformation`, `onHead`, `onBody` pieces, `onComplete`. */
export interface ParsedAnswer {
  onInformation(status: number, headers: string[]): void;
  onHead(status: number, headers: string[]): void;
  onBody(chunk: Buffer): void;
  onComplete(trailers: string[]): void;
}

/** The other side does not speak HTTP/1.1, or leaves open where its answer ends. */
export class AnswerError extends Error {}

type Phase = 'head' | 'length' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'until-close' | 'done';

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
/** A chunk's size with its extensions, which say nothing to us. */
const MAX_CHUNK_LINE_BYTES = 4096;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
/** RFC 9110 section 5: token names, and values without a control character but the tab. No folded lines, no bare CR or LF. */
const FIELD_LINES = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/;
const CHUNK_SIZE = /^([0-9A-Fa-f]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const LENGTH = /^[0-9]{1,15}$/;
const CLOSE = /(?:^|,)[\t ]*close[\t ]*(?:,|$)/i;
const KEEP_ALIVE = /(?:^|,)[\t ]*keep-alive[\t ]*(?:,|$)/i;
const NO_HEADERS: string[] = [];

/**
 * Reads the answers on one connection, one after another, as RFC 9112 section 6 frames them. Whatever two readers could take in two
 * ways is refused: the other side may be a hostile function.
 */
export class ResponseParser {
  private phase: Phase = 'done';
  private isHead = false;
  /** Bytes of a head or line that is not whole yet. */
  private pending: Buffer | undefined;
  /** Body bytes to come, of the whole answer or of the chunk. */
  private remaining = 0;
  private keepAlive = true;
  /** The value of the last answer's `Keep-Alive`, as it came. */
  keepAliveHint: string | undefined;

  constructor(
    private readonly sink: ParsedAnswer,
    private readonly maxHeaderBytes: number,
  ) {}

  /** The last answer was whole, nothing followed it, and its connection may carry another. */
  get reusable(): boolean {
    return this.phase === 'done' && this.keepAlive;
  }

  /** A request was sent: its answer comes next. */
  expect(method: string): void {
    this.isHead = method === 'HEAD';
    this.phase = 'head';
    this.keepAliveHint = undefined;
  }

  /** Nothing more is wanted. */
  stop(): void {
    this.phase = 'done';
    this.keepAlive = false;
    this.pending = undefined;
  }

  /** @throws AnswerError */
  push(input: Buffer): void {
    const data = this.pending === undefined ? input : Buffer.concat([this.pending, input]);
    this.pending = undefined;
    let at = 0;
    while (at < data.length) {
      const next = this.step(data, at);
      if (next === -1) {
        this.pending = at === 0 ? data : data.subarray(at);
        return;
      }
      at = next;
    }
  }

  /** The other side ended its half of the connection. @throws AnswerError where an answer is cut off by that */
  end(): void {
    if (this.phase === 'done') return;
    if (this.phase !== 'until-close') throw new AnswerError('the other side closed the connection');
    this.complete(NO_HEADERS);
  }

  /** Where to go on in `data`; -1: more is needed. */
  private step(data: Buffer, at: number): number {
    switch (this.phase) {
      case 'head':
        return this.readHead(data, at);
      case 'length':
      case 'chunk':
        return this.readCounted(data, at);
      case 'chunk-size':
        return this.readChunkSize(data, at);
      case 'chunk-end':
        return this.readChunkEnd(data, at);
      case 'trailers':
        return this.readTrailers(data, at);
      case 'until-close':
        this.sink.onBody(at === 0 ? data : data.subarray(at));
        return data.length;
      case 'done':
        // Nobody asked for these bytes: they must not become the answer to the next request.
        this.keepAlive = false;
        return data.length;
    }
  }

  private readHead(data: Buffer, at: number): number {
    const end = data.indexOf(HEAD_END, at);
    if ((end === -1 ? data.length : end) - at > this.maxHeaderBytes) throw new AnswerError('the head of the answer is too large');
    if (end === -1) return -1;
    const head = data.toString('latin1', at, end + LINE_END.length);
    const firstLine = head.indexOf('\r\n');
    const line = STATUS_LINE.exec(head.slice(0, firstLine));
    if (line === null) throw new AnswerError('the answer does not begin with an HTTP/1 status line');
    const status = Number(line[2]);
    const headers = readFields(head, firstLine + LINE_END.length);
    if (status === 101) throw new AnswerError('the other side switched protocols unasked');
    if (status < 200) this.sink.onInformation(status, headers);
    else this.begin(status, headers, line[1] === '1');
    return end + HEAD_END.length;
  }

  private begin(status: number, headers: string[], isLatest: boolean): void {
    this.keepAlive = isLatest;
    this.frame(status, headers);
    const { phase } = this;
    this.sink.onHead(status, headers);
    // The receiver may have stopped it, or there is no body.
    if (this.phase === phase && phase === 'length' && this.remaining === 0) this.complete(NO_HEADERS);
  }

  /** How the body of this answer ends. */
  private frame(status: number, headers: string[]): void {
    let length: string | undefined;
    let chunked = false;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!;
      const value = headers[i + 1]!;
      switch (name.length) {
        case 10:
          if (is(name, 'connection')) this.readConnection(value);
          else if (is(name, 'keep-alive')) this.keepAliveHint = value;
          break;
        case 14:
          if (!is(name, 'content-length')) break;
          if (length !== undefined || !LENGTH.test(value)) throw new AnswerError('the answer has no single Content-Length');
          length = value;
          break;
        case 17:
          if (!is(name, 'transfer-encoding')) break;
          if (chunked || value.toLowerCase() !== 'chunked') throw new AnswerError('the Transfer-Encoding of the answer is not chunked');
          chunked = true;
      }
    }
    if (chunked && length !== undefined) throw new AnswerError('the answer has both Content-Length and Transfer-Encoding');
    this.remaining = 0;
    this.phase = 'length';
    if (this.isHead || status === 204 || status === 304) return;
    if (chunked) this.phase = 'chunk-size';
    else if (length !== undefined) this.remaining = Number(length);
    else this.phase = 'until-close';
  }

  private readConnection(value: string): void {
    if (CLOSE.test(value)) this.keepAlive = false;
    else if (KEEP_ALIVE.test(value)) this.keepAlive = true;
  }

  private readCounted(data: Buffer, at: number): number {
    const end = Math.min(data.length, at + this.remaining);
    this.remaining -= end - at;
    const { phase } = this;
    this.sink.onBody(at === 0 && end === data.length ? data : data.subarray(at, end));
    if (this.remaining > 0 || this.phase !== phase) return end;
    if (phase === 'chunk') this.phase = 'chunk-end';
    else this.complete(NO_HEADERS);
    return end;
  }

  private readChunkSize(data: Buffer, at: number): number {
    const end = lineEnd(data, at);
    if (end === -1) return -1;
    const size = CHUNK_SIZE.exec(data.toString('latin1', at, end));
    if (size === null) throw new AnswerError('the answer has a chunk without a size');
    this.remaining = Number.parseInt(size[1]!, 16);
    this.phase = this.remaining === 0 ? 'trailers' : 'chunk';
    return end + LINE_END.length;
  }

  private readChunkEnd(data: Buffer, at: number): number {
    if (data.length - at < LINE_END.length) return -1;
    if (data[at] !== 13 || data[at + 1] !== 10) throw new AnswerError('a chunk of the answer is longer than it says');
    this.phase = 'chunk-size';
    return at + LINE_END.length;
  }

  private readTrailers(data: Buffer, at: number): number {
    if (data.length - at < LINE_END.length) return -1;
    if (data[at] === 13 && data[at + 1] === 10) {
      this.complete(NO_HEADERS);
      return at + LINE_END.length;
    }
    const end = data.indexOf(HEAD_END, at);
    if ((end === -1 ? data.length : end) - at > this.maxHeaderBytes) throw new AnswerError('the trailers of the answer are too large');
    if (end === -1) return -1;
    this.complete(readFields(data.toString('latin1', at, end + LINE_END.length), 0));
    return end + HEAD_END.length;
  }

  private complete(trailers: string[]): void {
    if (this.phase === 'until-close') this.keepAlive = false;
    this.phase = 'done';
    this.sink.onComplete(trailers);
  }
}

/** The header lines from `start` on, each ended by CRLF, as a flat list. */
function readFields(text: string, start: number): string[] {
  const lines = text.slice(start);
  if (!FIELD_LINES.test(lines)) throw new AnswerError('the answer has a header line that is none');
  const headers: string[] = [];
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf('\r\n', at);
    const colon = lines.indexOf(':', at);
    headers.push(lines.slice(at, colon), trimmed(lines, colon + 1, end));
    at = end + LINE_END.length;
  }
  return headers;
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

function lineEnd(data: Buffer, at: number): number {
  const end = data.indexOf(LINE_END, at);
  if ((end === -1 ? data.length : end) - at > MAX_CHUNK_LINE_BYTES) throw new AnswerError('the answer has a chunk without a size');
  return end;
}
