import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { type Door, type DoorAnswer, openDoor } from './door.fixture.js';

const UPLOAD = Buffer.alloc(3 * 1024 * 1024, 'a');
const TRIES = 30;

/** Sends all of it in one go, reads only then, and gives back the status; 0 where the answer was lost. */
function upload(door: Door, head: string, body: Buffer): Promise<number> {
  return new Promise((resolve) => {
    const socket = net.connect(door.port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => resolve(0)).on('close', () => resolve(0));
    socket.write(`${head}\r\nHost: localhost\r\n\r\n`, 'latin1');
    socket.pause();
    socket.write(body, () => {
      socket.resume();
      socket.on('data', () => {
        const status = /^HTTP\/1\.1 (\d{3}) [\s\S]*\r\n\r\n/.exec(text)?.[1];
        if (status === undefined) return;
        resolve(Number(status));
        socket.destroy();
      });
    });
  });
}

const length = `Content-Length: ${UPLOAD.length}`;
const chunked = Buffer.concat([Buffer.from(`${UPLOAD.length.toString(16)}\r\n`), UPLOAD, Buffer.from('\r\n0\r\n\r\n')]);

describe('the refusal of an upload of 3 MB is not overtaken by a reset', () => {
  it.each([
    ['of both framings at once', 400, `POST /fn/hello/ HTTP/1.1\r\n${length}\r\nTransfer-Encoding: chunked`, UPLOAD],
    ['of an unknown encoding', 400, 'POST /fn/hello/ HTTP/1.1\r\nTransfer-Encoding: gzip', UPLOAD],
    ['of a broken header', 400, `POST /fn/hello/ HTTP/1.1\r\n${length}\r\nX : y`, UPLOAD],
    ['of a head that is too large', 431, `POST /fn/hello/ HTTP/1.1\r\n${length}\r\nX: ${'a'.repeat(40_000)}`, UPLOAD],
    ['of two hosts', 400, `POST /fn/hello/ HTTP/1.1\r\nHost: x\r\n${length}`, UPLOAD],
    ['of CONNECT', 405, `CONNECT /fn/hello/ HTTP/1.1\r\n${length}`, UPLOAD],
    ['for nobody', 404, `POST /fn/nobody/ HTTP/1.1\r\n${length}\r\nConnection: close`, UPLOAD],
    ['that was announced', 404, `POST /fn/nobody/ HTTP/1.1\r\n${length}\r\nConnection: close\r\nExpect: 100-continue`, UPLOAD],
    ['over maxBody, by its length', 413, `POST /fn/hello/ HTTP/1.1\r\n${length}`, UPLOAD],
    ['over maxBody, by its bytes', 413, 'POST /fn/hello/ HTTP/1.1\r\nTransfer-Encoding: chunked', chunked],
  ])('%s', async (_what, status, head, body) => {
    const answer: DoorAnswer = (request, response) => {
      response.writeProcessing();
      request.on('error', () => undefined).resume();
    };
    const door = await openDoor({ functions: { hello: { maxBody: 1024 * 1024 } }, answer });
    const answers = await Promise.all(Array.from({ length: TRIES }, () => upload(door, head, body)));
    expect(answers).toEqual(Array(TRIES).fill(status));
  });

  it('by the function itself, over a connection that ends with it', async () => {
    const door = await openDoor({
      answer: (request, response) => {
        response.writeProcessing();
        request.once('data', () => response.writeHead(403, { 'content-length': 2 }).end('no'));
      },
    });
    const head = `POST /fn/hello/ HTTP/1.1\r\n${length}\r\nConnection: close`;
    const answers = await Promise.all(Array.from({ length: TRIES }, () => upload(door, head, UPLOAD)));
    expect(answers).toEqual(Array(TRIES).fill(403));
  });

  it('and its connection ends soon after, also where the sender falls silent', async () => {
    const door = await openDoor();
    const socket = net.connect({ port: door.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.write('POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nX : y\r\n\r\nrest');
    const began = performance.now();
    await new Promise((resolve) => socket.resume().once('end', resolve));
    socket.on('error', () => undefined);
    const chunks = setInterval(() => socket.write('more'), 100);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(socket.closed).toBe(false);
    clearInterval(chunks);
    await new Promise((resolve) => setTimeout(resolve, 2200));
    // Its second write meets the reset that the first one brought about.
    await expect.poll(() => socket.closed || (socket.write('late') && false)).toBe(true);
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
