import http, { type ServerResponse } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { answerHalfClosed, lingerAtClose } from './http-server.js';

const GRACE_MS = 100;

async function listening(answer: (response: ServerResponse, body: string) => void): Promise<number> {
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
    request.on('end', () => answer(response, Buffer.concat(chunks).toString()));
  });
  lingerAtClose(server);
  answerHalfClosed(server, GRACE_MS);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Sends bytes with its end behind them, and gives back all that comes until the other side ends or resets the connection. */
function sendAndEnd(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(bytes));
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('error', () => undefined).on('close', () => resolve(text));
  });
}

describe('a client that ends its side behind its request', () => {
  it.each([
    ['HTTP/1.1', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', ''],
    ['HTTP/1.1 that asks to close', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', ''],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', ''],
    ['a body', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello', 'hello'],
  ])('gets its answer, and then the end of the connection: %s', async (_what, bytes, body) => {
    const port = await listening((response, got) => setTimeout(() => response.end(`late but whole: ${got}`), GRACE_MS / 4));
    const answer = await sendAndEnd(port, bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toContain(`late but whole: ${body}`);
  });

  it('gets an answer of any length in time while it goes on', async () => {
    const port = await listening((response) => {
      let left = 8;
      const tick = setInterval(() => {
        response.write('more ');
        if (--left > 0) return;
        clearInterval(tick);
        response.end('done');
      }, GRACE_MS / 2);
    });
    expect(await sendAndEnd(port, 'GET / HTTP/1.0\r\n\r\n')).toMatch(/(?:more ){8}done$/);
  });

  it('is taken for one that left where nothing comes for it', async () => {
    let gone = false;
    const port = await listening((response) => {
      response.on('close', () => {
        gone = true;
      });
    });
    expect(await sendAndEnd(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')).toBe('');
    await expect.poll(() => gone).toBe(true);
  });

  it('in the middle of its body is refused', async () => {
    let asked = false;
    const port = await listening(() => {
      asked = true;
    });
    expect(await sendAndEnd(port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello')).not.toContain('200 OK');
    expect(asked).toBe(false);
  });
});
