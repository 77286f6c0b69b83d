import { describe, expect, it, vi } from 'vitest';
import { AnswerError } from '../headers/headers.js';
import { ResponseParser } from './response-parser.js';

/** What a parser said, in order. */
class Heard {
  said: string[] = [];
  body = '';
  complete = false;
  trailers: string[] = [];
  onInformation(status: number): void {
    this.said.push(`information ${status}`);
  }
  onHead(status: number, headers: string[]): void {
    this.said.push(`head ${status} ${headers.join('|')}`);
  }
  onSwitch(headers: string[]): void {
    this.said.push(`switch ${headers.join('|')}`);
  }
  onBody(chunk: Buffer): void {
    this.body += chunk.toString('latin1');
  }
  onComplete(trailers: string[]): void {
    this.complete = true;
    this.trailers = trailers;
  }
}

function parse(text: string, { method = 'GET', step = text.length, end = false, max = 1000, maySwitch = false } = {}) {
  const heard = new Heard();
  const parser = new ResponseParser(heard, max);
  parser.expect(method, maySwitch);
  for (let at = 0; at < text.length; at += step) parser.push(Buffer.from(text.slice(at, at + step), 'latin1'));
  if (end) parser.end();
  return { heard, parser };
}

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n5;name="x"\r\npedia\r\n0\r\nX-Sum: 9\r\nX-B:\r\n\r\n';

describe('an answer', () => {
  it.each([
    ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: one \t\r\n\r\nhello', 'hello'],
    ['without a reason', 'HTTP/1.1 404\r\nContent-Length: 2\r\n\r\nno', 'no'],
    ['in chunks', CHUNKED, 'Wikipedia'],
    [
      'behind interim ones',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1',
      '1',
    ],
    ['without a body', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ''],
    ['204, whatever it says of a length', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', ''],
    ['in chunks beside a length, and the chunks count', `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n${CHUNKED.slice(17)}`, 'Wikipedia'],
    ['with the same length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nhi', 'hi'],
    ['304', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', ''],
  ])('%s is read, whatever pieces it comes in', (_name, text, body) => {
    const whole = parse(text);
    for (let step = 1; step <= text.length; step++) {
      const { heard, parser } = parse(text, { step });
      expect(heard).toEqual(whole.heard);
      expect([heard.body, heard.complete]).toEqual([body, true]);
      expect(parser.reusable).toBe(whole.parser.reusable);
    }
    expect(whole.parser.reusable).toBe(!/length:.*(?:transfer-encoding|content-length):/is.test(text));
  });

  it('goes on with one way of framing, whatever it came with', () => {
    const both = parse(`HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\ncontent-length: 4\r\n${CHUNKED.slice(17)}`);
    expect(both.heard.said).toEqual(['head 200 X|y|Transfer-Encoding|chunked']);
    const twice = parse('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\nContent-Length: 2\r\n\r\nhi');
    expect(twice.heard.said).toEqual(['head 200 Content-Length|2|X|y']);
  });

  it('that switches protocols as it was asked is followed by bytes that are no HTTP', () => {
    const text = 'HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nHTTP/1.1 is none\r\n\r\n';
    for (let step = 1; step <= text.length; step++) {
      const { heard, parser } = parse(text, { step, maySwitch: true });
      expect(heard.said).toEqual(['information 103', 'switch Upgrade|x']);
      expect([heard.body, parser.reusable]).toEqual(['HTTP/1.1 is none\r\n\r\n', false]);
    }
    expect(() => parse('HTTP/1.1 101 Switching Protocols\r\n\r\n', { maySwitch: true })).toThrow('without an Upgrade header');
  });

  it('keeps the order, case and repetition of its header lines, and bytes beyond ASCII', () => {
    const { heard } = parse('HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=\xe9\r\nX:\r\nContent-Length: 0\r\n\r\n');
    expect(heard.said).toEqual(['head 200 Set-Cookie|a=1|set-cookie|b=\xe9|X||Content-Length|0']);
  });

  it('gives its trailers', () => {
    expect(parse(CHUNKED).heard.trailers).toEqual(['X-Sum', '9', 'X-B', '']);
  });

  it('to HEAD has no body, whatever its head says', () => {
    for (const framing of ['Content-Length: 500', 'Transfer-Encoding: chunked', 'X: y']) {
      const { heard, parser } = parse(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`, { method: 'HEAD' });
      expect([heard.complete, heard.body, parser.reusable]).toEqual([true, '', true]);
    }
  });

  it('without framing ends with its connection', () => {
    const { heard, parser } = parse('HTTP/1.1 200 OK\r\n\r\nall there is', { end: true });
    expect([heard.body, heard.complete, parser.reusable]).toEqual(['all there is', true, false]);
  });

  it.each([
    ['HTTP/1.1', 'X: y', true],
    ['HTTP/1.1', 'Connection: close', false],
    ['HTTP/1.1', 'Connection: X-A, Close', false],
    ['HTTP/1.1', 'Connection: closed', true],
    ['HTTP/1.0', 'X: y', false],
    ['HTTP/1.0', 'Connection: keep-alive', true],
  ])('%s with %s leaves its connection open: %s', (version, header, open) => {
    expect(parse(`${version} 200 OK\r\n${header}\r\nContent-Length: 0\r\n\r\n`).parser.reusable).toBe(open);
  });

  it('that is followed by more than was asked for makes its connection no use', () => {
    const { heard, parser } = parse('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake');
    expect([heard.said.length, heard.body, parser.reusable]).toEqual([1, '1', false]);
  });

  it.each([
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n',
    'HTTP/1.1 200 O',
  ])('cut off by the end of its connection is no answer: %j', (text) => {
    expect(() => parse(text, { end: true })).toThrow('the other side closed the connection');
  });

  it.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['HTTP/2', 'HTTP/2 200 OK\r\n\r\n'],
    ['a status that is none', 'HTTP/1.1 99 Low\r\n\r\n'],
    ['a status below 100', 'HTTP/1.1 099 Low\r\n\r\n'],
    ['a status above 599', 'HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n'],
    ['the status 999', 'HTTP/1.1 999 High\r\nContent-Length: 0\r\n\r\n'],
    ['a status with a letter', 'HTTP/1.1 2x0 OK\r\n\r\n'],
    ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
    ['two lengths that differ', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello'],
    [
      'three lengths of which the second differs',
      `HTTP/1.1 200 OK\r\n${[5, 6, 5].map((n) => `Content-Length: ${n}\r\n`).join('')}\r\nhello`,
    ],
    ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello'],
    ['a length in hex', 'HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello'],
    ['an encoding on top', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
    ['two encodings', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a space before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello'],
    ['a folded line', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n'],
    ['a line without a colon', 'HTTP/1.1 200 OK\r\nX\r\n\r\n'],
    ['a bare LF in a value', 'HTTP/1.1 200 OK\r\nX: a\nContent-Length: 5\r\n\r\nhello'],
    ['a bare CR in a value', 'HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n'],
    ['NUL in a value', 'HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n'],
    ['a chunk without a size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n'],
    ['a chunk of a size beyond numbers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n'],
    ['a chunk longer than it says', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWikipedia\r\n'],
    ['a trailer that is no line', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: a\0\r\n\r\n'],
  ])('with %s is refused', (_name, text) => {
    expect(() => parse(text)).toThrow(AnswerError);
    expect(() => parse(text, { step: 1 })).toThrow(AnswerError);
  });

  it('with a head, a chunk line or trailers without end is refused before they fill the memory', () => {
    const endless = 'a'.repeat(10_000);
    const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    for (const text of [`HTTP/1.1 200 OK\r\nX: ${endless}`, `${chunked}5;${endless}`, `${chunked}0\r\nX: ${endless}`]) {
      expect(() => parse(text, { step: 100 })).toThrow(AnswerError);
    }
    expect(() => parse(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ${'a'.repeat(1000)}\r\n\r\n`)).toThrow('larger than 1000 bytes');
  });

  it('with interim answers without end is refused', () => {
    expect(() => parse('HTTP/1.1 100 Continue\r\n\r\n'.repeat(100))).toThrow('interim answers');
  });

  it.each([
    ['is no HTTP', 'hello\r\n\r\n', 'does not begin with an HTTP/1 status line'],
    ['has a status out of range', 'HTTP/1.1 700 X\r\n\r\n', 'status 700 is out of the range 100 to 599'],
    ['has a bad header line', 'HTTP/1.1 200 OK\r\nX: y\r\nno colon\r\n\r\n', 'header line 2 is not'],
    ['has a bad chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 'chunk size is not hexadecimal'],
  ])('that %s is refused by the name of the rule', (_what, text, rule) => {
    expect(() => parse(text)).toThrow(rule);
  });

  const LIMIT = 64 * 1024;
  const filled = (start: string, end: string, bytes: number) => start + 'a'.repeat(bytes - start.length) + end;
  it.each([
    ['head', filled('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ', '\r\n\r\n', LIMIT)],
    ['chunk line', filled('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;', '\r\na\r\n0\r\n\r\n', 4000)],
    ['trailers', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${filled('X: ', '\r\n\r\n', LIMIT)}`],
  ])('whose %s comes byte by byte costs no more than a few looks at each byte', (_what, text) => {
    let copied = 0;
    let searched = 0;
    const { copy, indexOf } = Buffer.prototype;
    vi.spyOn(Buffer, 'concat').mockImplementation((list) => {
      throw new Error(`${list.length} pieces were joined`);
    });
    vi.spyOn(Buffer.prototype, 'copy').mockImplementation(function (this: Buffer, ...args: Parameters<typeof copy>) {
      const bytes = Reflect.apply(copy, this, args) as number;
      copied += bytes;
      return bytes;
    });
    vi.spyOn(Buffer.prototype, 'indexOf').mockImplementation(function (this: Buffer, ...args: unknown[]) {
      searched += this.length - Number(args[1] ?? 0);
      return Reflect.apply(indexOf, this, args) as number;
    } as typeof indexOf);
    try {
      expect(parse(text, { step: 1, max: LIMIT }).heard.complete).toBe(true);
    } finally {
      vi.restoreAllMocks();
    }
    expect(copied).toBeLessThan(4 * text.length);
    expect(searched).toBeLessThan(8 * text.length);
  });

  it('that nobody wants any more is read no further', () => {
    const heard = new Heard();
    const parser = new ResponseParser(heard, 1000);
    heard.onHead = () => parser.stop();
    parser.expect('GET');
    parser.push(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    expect([heard.complete, parser.reusable]).toEqual([false, false]);
  });
});
