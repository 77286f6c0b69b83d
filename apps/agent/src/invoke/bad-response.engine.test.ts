import { describe, expect, it } from 'vitest';
import { codeOf, instanceOf } from '../node.fixture.js';
import { image, node, withEvaluatingNode } from './with-evaluating-node.fixture.js';

withEvaluatingNode();

/** A handler's code that writes bytes past its HTTP library. */
const writing = (bytes: string) => `request.socket.write(${JSON.stringify(bytes)}); await new Promise(() => {})`;
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

describe('an answer that breaks HTTP', () => {
  it.each([
    ['a broken chunk size in the segment of the head', `${CHUNKED}zz\r\n`, 'a chunk size is not hexadecimal'],
    ['a broken chunk size behind a chunk', `${CHUNKED}2\r\nhi\r\nzz\r\n`, 'a chunk size is not hexadecimal'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 'two Content-Length headers that differ'],
    ['a status above 599', 'HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n', 'status 600 is out of the range'],
    ['a status below 100', 'HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n', 'status 099 is out of the range'],
    ['no HTTP', 'hello\r\n\r\n', 'does not begin with an HTTP/1 status line'],
    ['a head without end', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}`, 'the head is larger than 65536 bytes'],
  ])('by %s is told at once, by the name of the rule', async (_what, bytes, rule) => {
    // Several at a time: such an instance goes on although nobody says when the handler of a broken answer ends.
    node.add('broken', image, { timeout: 5000, concurrency: 2 });
    const before = await node.call('broken');
    const answer = await node.call('broken', { body: writing(bytes) });
    expect([answer.status, codeOf(answer), answer.headers['x-kiln-not-executed']]).toEqual([502, 'bad_response', undefined]);
    expect((JSON.parse(answer.text) as { detail: string }).detail).toContain(rule);
    expect(answer.ms).toBeLessThan(900);
    expect(instanceOf(await node.call('broken'))).toBe(instanceOf(before));
  });

  it('is cut where a part of it was passed on', async () => {
    node.add('begun', image);
    const code = `request.socket.write(${JSON.stringify(`${CHUNKED}2\r\nhi\r\n`)}); setTimeout(() => request.socket.write('zz\\r\\n'), 100); await new Promise(() => {})`;
    await expect(node.call('begun', { body: code })).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  });

  it.each([
    [
      'a length beside chunks',
      `HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
      undefined,
    ],
    ['the same length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello', '5'],
  ])('has not %s: it is passed on with one way of framing', async (_what, bytes, length) => {
    node.add('lax', image);
    const answer = await node.call('lax', { body: writing(bytes) });
    expect([answer.status, answer.text, answer.headers['content-length']]).toEqual([200, 'hello', length]);
    expect(instanceOf(await node.call('lax'))).toBe(instanceOf(answer));
  });
});
