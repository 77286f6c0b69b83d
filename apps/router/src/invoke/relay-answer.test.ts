import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { bodyOf, connected, echoed, exchangeRaw, get, openDoor, text } from './door.fixture.js';

describe('what the caller sees', () => {
  it('version, node, instance, start and timing; nothing else of ours', async () => {
    const door = await openDoor();
    const response = await get(door);
    await text(response);
    expect(response.headers).toMatchObject({
      'x-kiln-version': '1',
      'x-kiln-node': 'node-x',
      'x-kiln-instance': 'abc',
      'x-kiln-start': 'warm',
    });
    expect(response.headers['server-timing']).toMatch(/^route;dur=\d+\.\d\d, queue;dur=1, start;dur=2, exec;dur=3$/);
    expect(
      Object.keys(response.headers)
        .filter((name) => name.startsWith('x-kiln-'))
        .sort(),
    ).toEqual(['x-kiln-instance', 'x-kiln-node', 'x-kiln-start', 'x-kiln-version']);
    expect(door.records).toMatchObject([
      { function: 'hello', version: 1, status: 200, end: 'answered', attempts: 1, node: 'node-1', start: 'warm', execMs: 3 },
    ]);
    expect(door.nodes.live()[0]!.load).toBe(0.5);
  });

  it('no placement where that is switched off', async () => {
    const door = await openDoor({ config: { placementHeaders: false } });
    const response = await get(door);
    await text(response);
    expect(Object.keys(response.headers).filter((name) => name.startsWith('x-kiln-'))).toEqual(['x-kiln-version']);
  });

  it('repeated headers and each Set-Cookie by itself, case kept, hop-by-hop gone', async () => {
    const door = await openDoor({
      answer: (_request, response) => {
        response.writeHead(200, [
          'Set-Cookie',
          'a=1',
          'X-B',
          '1',
          'Set-Cookie',
          'b=2',
          'X-B',
          '2',
          'Connection',
          'X-Hop',
          'X-Hop',
          '1',
          'Server-Timing',
          'mine;dur=1',
        ]);
        response.end();
      },
    });
    const { rawHeaders } = await get(door);
    expect(rawHeaders.join('\n')).toContain('Set-Cookie\na=1\nX-B\n1\nSet-Cookie\nb=2\nX-B\n2\n');
    expect(rawHeaders).toContain('Server-Timing');
    expect(rawHeaders).toContain('server-timing');
    expect(rawHeaders).not.toContain('X-Hop');
  });

  it('gzip as it is', async () => {
    const packed = gzipSync('hello '.repeat(1000));
    const door = await openDoor({
      answer: (_request, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': packed.length });
        response.end(packed);
      },
    });
    const response = await get(door, '/fn/hello/', { headers: { 'accept-encoding': 'gzip' } });
    expect(Buffer.concat(await response.toArray()).equals(packed)).toBe(true);
    expect(response.headers).toMatchObject({ 'content-encoding': 'gzip', 'content-length': String(packed.length) });
  });

  it('HEAD with the length but no body, and the connection lives on', async () => {
    const door = await openDoor({
      answer: (_request, response) => {
        response.writeHead(200, { 'content-length': 1234 });
        response.end();
      },
    });
    const head = 'HEAD /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n';
    const answer = await exchangeRaw(door.port, `${head}\r\n${head}Connection: close\r\n\r\n`);
    expect(answer.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    expect(answer.match(/content-length: 1234\r\n/gi)).toHaveLength(2);
    expect(answer.endsWith('\r\n\r\n')).toBe(true);
  });

  it.each([204, 304])('%i without a body', async (status) => {
    const door = await openDoor({ answer: (_request, response) => response.writeHead(status, { etag: '"x"' }).end() });
    const line = 'GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n';
    const answer = await exchangeRaw(door.port, `${line}\r\n${line}Connection: close\r\n\r\n`);
    expect(answer.match(new RegExp(`HTTP/1\\.1 ${status}`, 'g'))).toHaveLength(2);
    expect(answer).not.toMatch(/transfer-encoding/i);
    expect(answer.endsWith('\r\n\r\n')).toBe(true);
  });

  it('early hints, but not the node’s word that it holds a lease', async () => {
    const door = await openDoor({
      answer: (_request, response) => {
        response.writeProcessing();
        response.writeEarlyHints({ link: '</a.css>; rel=preload', 'x-more': '1' });
        response.end('done');
      },
    });
    const answer = await exchangeRaw(door.port, 'GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a\.css>; rel=preload\r\nx-more: 1\r\n\r\nHTTP\/1\.1 200 OK\r\n/i);
  });

  it('trailers behind chunks', async () => {
    const door = await openDoor({
      answer: (_request, response) => {
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('abc');
        response.addTrailers({ 'x-sum': '3' });
        response.end();
      },
    });
    const response = await get(door);
    await text(response);
    expect(response.trailers).toEqual({ 'x-sum': '3' });
  });

  it('the first byte at once, and each event as it is written', async () => {
    let write: (text: string) => void = () => undefined;
    const door = await openDoor({
      answer: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
        write = (event) => response.write(event);
      },
    });
    const client = await connected(door.port);
    client.write('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect.poll(() => client.received(), { interval: 5 }).toContain('text/event-stream');
    for (let i = 0; i < 5; i++) {
      const writtenAt = performance.now();
      write(`data: ${i}\n\n`);
      await expect.poll(() => client.received(), { interval: 2 }).toContain(`data: ${i}`);
      expect(performance.now() - writtenAt).toBeLessThan(50);
    }
  });

  it('an answer to HTTP/1.0 that ends with its connection', async () => {
    const door = await openDoor({
      answer: (_request, response) => {
        response.write('ab');
        response.end('cd');
      },
    });
    const answer = await exchangeRaw(door.port, 'GET /fn/hello/ HTTP/1.0\r\n\r\n');
    expect(answer).not.toMatch(/transfer-encoding/i);
    expect(bodyOf(answer)).toBe('abcd');
  });

  it('a redirect of the form without a slash, for GET and HEAD only', async () => {
    const door = await openDoor();
    for (const method of ['GET', 'HEAD']) {
      const response = await get(door, '/fn/hello?a=1&b', { method });
      expect(response.statusCode).toBe(307);
      expect(response.headers['location']).toBe('/fn/hello/?a=1&b');
    }
    expect((await get(door, '/fn/nobody')).statusCode).toBe(404);
    expect(await echoed(door, 'POST /fn/hello?a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0')).toMatchObject({
      method: 'POST',
      url: '/?a',
    });
  });
});
