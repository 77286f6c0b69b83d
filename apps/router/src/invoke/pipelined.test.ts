import { describe, expect, it } from 'vitest';
import { connected, type DoorAnswer, exchangeRaw, openDoor } from './door.fixture.js';

/** Answers `/slow` in two parts, and everything else at once. */
const slowly: DoorAnswer = (request, response) => {
  request.on('error', () => undefined).resume();
  if (request.url !== '/slow') {
    response.writeHead(200, { 'content-length': 5 }).end('quick');
    return;
  }
  response.writeHead(200, { 'content-length': 10 }).write('first');
  setTimeout(() => response.end('+last'), 200);
};
const get = (path: string) => `GET /fn/hello${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
/** Statuses and bodies that came. */
const parts = (text: string) => text.match(/HTTP\/1\.1 \d{3}|first\+last|quick|"code":"[a-z_]+"/g);

describe('behind a request that is being answered', () => {
  it.each([
    ['bytes that are no request', 'nonsense\r\n\r\n'],
    ['a request with a broken header', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n'],
    ['a request with a broken body', `POST /fn/hello/post HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`],
  ])('%s are refused in their turn, never in the midst of its answer', async (_what, bytes) => {
    const door = await openDoor({ answer: slowly });
    const text = await exchangeRaw(door.port, get('/slow') + bytes, 1000);
    expect(parts(text)).toEqual(['HTTP/1.1 200', 'first+last', 'HTTP/1.1 400', '"code":"bad_request"']);
    expect(text).not.toMatch(/first[^+]/);
    expect(door.agents[0]!.requests.map(({ url }) => url)).toEqual(['/slow']);
  });

  it.each([
    [
      'a request that switches protocols',
      `GET /fn/hello/chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    ],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n'],
  ])('%s writes nothing into its answer: the connection is cut', async (_what, bytes) => {
    const door = await openDoor({ answer: slowly });
    const client = await connected(door.port);
    client.write(get('/slow'));
    await expect.poll(() => client.received()).toContain('first');
    client.write(bytes);
    await expect.poll(() => client.closed).toBe(true);
    expect(client.received()).toMatch(/\r\n\r\nfirst$/);
  });

  it('requests are answered one after another', async () => {
    const door = await openDoor({ answer: slowly });
    const text = await exchangeRaw(door.port, get('/slow') + get('/a') + get('/slow'), 1000);
    expect(parts(text)).toEqual(['HTTP/1.1 200', 'first+last', 'HTTP/1.1 200', 'quick', 'HTTP/1.1 200', 'first+last']);
  });
});

describe('a body that turns out broken', () => {
  it('is refused, and what ran for it is ended', async () => {
    let closed = false;
    const door = await openDoor({
      answer: (request, response) => {
        request.on('error', () => undefined).resume();
        response.on('close', () => {
          closed = true;
        });
        response.writeProcessing();
      },
    });
    const client = await connected(door.port);
    client.write('POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n');
    await expect.poll(() => door.agents[0]!.requests.length).toBe(1);
    client.write('zz\r\n');
    await expect.poll(() => client.received()).toMatch(/^HTTP\/1\.1 400 [\s\S]*bad_request/);
    await expect.poll(() => closed).toBe(true);
    await expect.poll(() => client.closed, { timeout: 4000 }).toBe(true);
  });
});
