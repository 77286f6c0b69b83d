import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { readCgiHead } from './cgi-head.js';

const HEAD = 'Status: 403 Forbidden\r\nContent-Type: application/x-git\r\nPragma: no-cache\r\n\r\n';

describe('readCgiHead', () => {
  it.each([1, 7, 1000])('reads a head that comes in pieces of %i bytes, and leaves the body whole', async (size) => {
    const output = new PassThrough();
    const whole = `${HEAD}body\r\n\r\nmore`;
    void (async () => {
      for (let i = 0; i < whole.length; i += size) {
        output.write(whole.slice(i, i + size));
        await new Promise(setImmediate);
      }
      output.end();
    })();
    expect(await readCgiHead(output)).toEqual({ status: 403, contentType: 'application/x-git' });
    expect(await text(output)).toBe('body\r\n\r\nmore');
  });

  it('takes a missing status for 200', async () => {
    const output = new PassThrough();
    output.end('Content-Type: text/plain\r\n\r\n');
    expect((await readCgiHead(output)).status).toBe(200);
  });

  it('refuses what ends too early, and a head without end', async () => {
    const short = new PassThrough();
    short.end('Status: 200');
    await expect(readCgiHead(short)).rejects.toThrow('ended without a response');
    const long = new PassThrough();
    long.write('x: '.padEnd(20_000, 'y'));
    await expect(readCgiHead(long)).rejects.toThrow('too long a head');
    const broken = new PassThrough();
    setImmediate(() => broken.destroy());
    await expect(readCgiHead(broken)).rejects.toThrow('ended without a response');
  });
});
