import { GrowingBuffer } from '../bytes/growing-buffer.js';
import { AnswerError, get, is, readFields, withLengths } from '../headers/headers.js';

/** What a parser finds, in this order: any `onInformation`, `onHead`, `onBody` pieces, `onComplete`; or `onSwitch` and pieces. */
export interface ParsedAnswer {
  onInformation(status: number, headers: string[]): void;
  onHead(status: number, headers: string[]): void;
  onBody(chunk: Buffer): void;
  onComplete(trailers: string[]): void;
  /** The protocols were switched: the pieces that follow are no HTTP any more. */
  onSwitch(headers: string[]): void;
}

type Phase = 'head' | 'length' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'until-close' | 'switched' | 'done';

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
/** A chunk's size with its extensions, which say nothing to us. */
const MAX_CHUNK_LINE_BYTES = 4096;
const STATUS_LINE = /^HTTP\/1\.([01]) ([0-9]{3})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const LOWEST_STATUS = 100;
const HIGHEST_STATUS = 599;
const CHUNK_SIZE = /^([0-9A-Fa-f]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const LENGTH = /^[0-9]{1,15}$/;
const CLOSE = /(?:^|,)[\t ]*close[\t ]*(?:,|$)/i;
const KEEP_ALIVE = /(?:^|,)[\t ]*keep-alive[\t ]*(?:,|$)/i;
const NO_HEADERS: string[] = [];

/**
 * Reads the answers on one connection, one after another, as RFC 9112 section 6 frames them. Whatever two readers could take in two
 * ways is refused: the other side may be a hostile function. What it costs grows with the bytes, not with the pieces they come in.
 */
export class ResponseParser {
  private phase: Phase = 'done';
  private isHead = false;
  private maySwitch = false;
  /** A head or line that is not whole yet. */
  private readonly partial = new GrowingBuffer();
  /** Of the interim answers before this one's head. */
  private interimBytes = 0;
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
  expect(method: string, maySwitch = false): void {
    this.isHead = method === 'HEAD';
    this.maySwitch = maySwitch;
    this.phase = 'head';
    this.interimBytes = 0;
    this.keepAliveHint = undefined;
  }

  /** Nothing more is wanted. */
  stop(): void {
    this.phase = 'done';
    this.keepAlive = false;
    this.partial.clear();
  }

  /** @throws AnswerError */
  push(input: Buffer): void {
    let at = this.partial.length === 0 ? 0 : this.completePartial(input);
    while (at < input.length) {
      const next = this.step(input, at, at);
      if (next === -1) {
        this.partial.append(at === 0 ? input : input.subarray(at));
        return;
      }
      at = next;
    }
  }

  /** The other side ended its half of the connection. @throws Error where an answer is cut off by that */
  end(): void {
    if (this.phase === 'done') return;
    if (this.phase !== 'until-close') throw new Error('the other side closed the connection');
    this.complete(NO_HEADERS);
  }

  /** Adds to the head or line that came in part no more than it may need. @returns where to go on in `input` */
  private completePartial(input: Buffer): number {
    const { partial } = this;
    const before = partial.length;
    partial.append(input, Math.min(input.length, this.longest() - before));
    // An end mark may lie across the border; what was searched before is not searched again.
    const next = this.step(partial.bytes, 0, Math.max(0, before - HEAD_END.length + 1));
    if (next === -1) return input.length;
    partial.clear();
    return next - before;
  }

  /** Bytes after which the head or line under way is whole or refused. */
  private longest(): number {
    if (this.phase === 'chunk-end') return LINE_END.length;
    return (this.phase === 'chunk-size' ? MAX_CHUNK_LINE_BYTES : this.maxHeaderBytes) + HEAD_END.length;
  }

  /** Where to go on in `data`; -1: more is needed. @param from no end mark begins before it */
  private step(data: Buffer, at: number, from: number): number {
    switch (this.phase) {
      case 'head':
        return this.readHead(data, at, from);
      case 'length':
      case 'chunk':
        return this.readCounted(data, at);
      case 'chunk-size':
        return this.readChunkSize(data, at, from);
      case 'chunk-end':
        return this.readChunkEnd(data, at);
      case 'trailers':
        return this.readTrailers(data, at, from);
      case 'until-close':
      case 'switched':
        this.sink.onBody(at === 0 ? data : data.subarray(at));
        return data.length;
      case 'done':
        // Nobody asked for these bytes: they must not become the answer to the next request.
        this.keepAlive = false;
        return data.length;
    }
  }

  private readHead(data: Buffer, at: number, from: number): number {
    const end = endOf(HEAD_END, data, at, from, this.maxHeaderBytes, 'the head is larger');
    if (end === -1) return -1;
    const head = data.toString('latin1', at, end + LINE_END.length);
    const firstLine = head.indexOf('\r\n');
    const line = STATUS_LINE.exec(head.slice(0, firstLine));
    if (line === null) throw new AnswerError('it does not begin with an HTTP/1 status line');
    const status = Number(line[2]);
    if (status < LOWEST_STATUS || status > HIGHEST_STATUS) {
      throw new AnswerError(`its status ${line[2]} is out of the range ${LOWEST_STATUS} to ${HIGHEST_STATUS}`);
    }
    const headers = readFields(head, firstLine + LINE_END.length);
    const next = end + HEAD_END.length;
    if (status === 101) this.switchTo(headers);
    else if (status < 200) this.interim(status, headers, next - at);
    else this.begin(status, headers, line[1] === '1');
    return next;
  }

  private interim(status: number, headers: string[], bytes: number): void {
    this.interimBytes += bytes;
    if (this.interimBytes > this.maxHeaderBytes) {
      throw new AnswerError(`its interim answers are larger than ${this.maxHeaderBytes} bytes together`);
    }
    this.sink.onInformation(status, headers);
  }

  private switchTo(headers: string[]): void {
    if (!this.maySwitch) throw new AnswerError('it switches protocols (101), which nobody asked for');
    if (get(headers, 'upgrade') === undefined) throw new AnswerError('it switches protocols (101) without an Upgrade header');
    this.phase = 'switched';
    this.sink.onSwitch(headers);
  }

  private begin(status: number, headers: string[], isLatest: boolean): void {
    this.keepAlive = isLatest;
    const single = this.frame(status, headers);
    const { phase } = this;
    this.sink.onHead(status, single);
    // The receiver may have stopped it, or there is no body.
    if (this.phase === phase && phase === 'length' && this.remaining === 0) this.complete(NO_HEADERS);
  }

  /** How the body of this answer ends. @returns its headers with no more than one word about that */
  private frame(status: number, headers: string[]): string[] {
    let length: string | undefined;
    let lengths = 0;
    let agree = true;
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
          agree = lengths++ === 0 || (agree && value === length);
          length = value;
          break;
        case 17:
          if (!is(name, 'transfer-encoding')) break;
          if (chunked) throw new AnswerError('it has Transfer-Encoding twice');
          if (value.toLowerCase() !== 'chunked') throw new AnswerError('its Transfer-Encoding is other than chunked');
          chunked = true;
      }
    }
    if (!chunked && !agree) throw new AnswerError('it has two Content-Length headers that differ');
    if (!chunked && length !== undefined && !LENGTH.test(length)) throw new AnswerError('its Content-Length is not a number');
    this.remaining = 0;
    this.phase = 'length';
    if (!this.isHead && status !== 204 && status !== 304) {
      if (chunked) this.phase = 'chunk-size';
      else if (length !== undefined) this.remaining = Number(length);
      else this.phase = 'until-close';
    }
    return this.single(headers, lengths, chunked);
  }

  /** RFC 9112 section 6.3: chunks win over a length, which must not travel on; 9110 section 8.6: one length said twice is one. */
  private single(headers: string[], lengths: number, chunked: boolean): string[] {
    if (lengths === 0 || (lengths === 1 && !chunked)) return headers;
    // Whoever frames in two ways may count in two ways: nothing else is read on this connection.
    this.keepAlive = false;
    return withLengths(headers, chunked ? 0 : 1);
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

  private readChunkSize(data: Buffer, at: number, from: number): number {
    const end = endOf(LINE_END, data, at, from, MAX_CHUNK_LINE_BYTES, 'a line with a chunk size is longer');
    if (end === -1) return -1;
    const size = CHUNK_SIZE.exec(data.toString('latin1', at, end));
    if (size === null) throw new AnswerError('a chunk size is not hexadecimal');
    this.remaining = Number.parseInt(size[1]!, 16);
    this.phase = this.remaining === 0 ? 'trailers' : 'chunk';
    return end + LINE_END.length;
  }

  private readChunkEnd(data: Buffer, at: number): number {
    if (data.length - at < LINE_END.length) return -1;
    if (data[at] !== 13 || data[at + 1] !== 10) throw new AnswerError('a chunk is longer than its size says');
    this.phase = 'chunk-size';
    return at + LINE_END.length;
  }

  private readTrailers(data: Buffer, at: number, from: number): number {
    if (data.length - at < LINE_END.length) return -1;
    if (data[at] === 13 && data[at + 1] === 10) {
      this.complete(NO_HEADERS);
      return at + LINE_END.length;
    }
    const end = endOf(HEAD_END, data, at, from, this.maxHeaderBytes, 'the trailers are larger');
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

/** Where the part from `at` on ends; -1: more is needed. @throws AnswerError where it is longer than `max` */
function endOf(mark: Buffer, data: Buffer, at: number, from: number, max: number, tooLong: string): number {
  const end = data.indexOf(mark, from);
  // Without the mark, the last bytes may be its first.
  const earliest = end === -1 ? data.length - mark.length + 1 : end;
  if (earliest - at > max) throw new AnswerError(`${tooLong} than ${max} bytes`);
  return end;
}
