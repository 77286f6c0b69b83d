import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { describe, expect, it } from 'vitest';
import { connected, echoed, exchangeRaw, openDoor, valuesOf } from './door.fixture.js';

describe('bodies', () => {
  it('of a known length stay so, of an unknown one stay chunked', async () => {
    const door = await openDoor();
    const known = await echoed(door, 'POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5', 'hello');
    expect(valuesOf(known, 'content-length')).toEqual(['5']);
    expect(valuesOf(known, 'transfer-encoding')).toEqual([]);
    expect(valuesOf(known, 'x-kiln-notify-lease')).toEqual([]);
    const unknown = await echoed(
      door,
      'POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked',
      '2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n',
    );
    expect(unknown.bytes).toBe(5);
    expect(valuesOf(unknown, 'transfer-encoding')).toEqual(['chunked']);
    expect(valuesOf(unknown, 'x-kiln-notify-lease')).toEqual(['1']);
    const onGet = await echoed(door, 'GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5', 'hello');
    expect(onGet.bytes).toBe(5);
  });

  it('no more than 64 KiB leave before the node holds a lease', async () => {
    let lease: () => void = () => undefined;
    let seen = 0;
    const door = await openDoor({
      functions: { hello: { maxBody: 2 ** 30 } },
      answer: (request, response) => {
        request.on('data', (chunk: Buffer) => {
          seen += chunk.length;
        });
        request.on('end', () => response.end(String(seen)));
        lease = () => response.writeProcessing();
      },
    });
    const size = 8 * 1024 * 1024;
    const client = await connected(door.port);
    client.write(`POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${size}\r\nConnection: close\r\n\r\n`);
    client.write(Buffer.alloc(size));
    await expect.poll(() => seen).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(seen).toBeLessThanOrEqual(64 * 1024);
    lease();
    await expect.poll(() => client.received()).toContain(String(size));
  });

  it('100 Continue only when the node holds a lease', async () => {
    let lease: () => void = () => undefined;
    const door = await openDoor({
      answer: (request, response) => {
        lease = () => response.writeProcessing();
        request.resume().on('end', () => response.end('thanks'));
      },
    });
    const client = await connected(door.port);
    client.write('POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
    await expect.poll(() => door.agents[0]!.requests.length).toBe(1);
    expect(door.agents[0]!.requests[0]!.headers).not.toHaveProperty('expect');
    expect(client.received()).toBe('');
    lease();
    await expect.poll(() => client.received()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    client.write('hello');
    await expect.poll(() => client.received()).toMatch(/HTTP\/1\.1 200 OK[\s\S]*thanks/);
  });

  it('a refusal comes before a body that waits for 100 Continue', async () => {
    const door = await openDoor({ functions: { hello: { maxBody: 3 } } });
    const answer = await exchangeRaw(
      door.port,
      'POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*Connection: close/);
    expect(door.agents[0]!.requests).toHaveLength(0);
  });

  it.each([
    ['404', '/fn/nobody/'],
    ['413', '/fn/hello/'],
  ])('a refusal with %s reaches a sender that asked for the connection’s end and goes on sending', async (status, path) => {
    const door = await openDoor({ functions: { hello: { maxBody: 100_000 } } });
    const client = await connected(door.port);
    const closed: string[] = [];
    client.on('error', ({ message }) => closed.push(message)).on('close', () => closed.push('close'));
    const [chunk, chunks] = [Buffer.alloc(64 * 1024), 64];
    client.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${chunks * chunk.length}\r\nConnection: close\r\n\r\n`);
    client.write(chunk);
    await expect.poll(() => client.received()).toMatch(new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*}$`));
    for (let i = 1; i < chunks; i++) await new Promise((resolve) => client.write(chunk, resolve));
    expect(closed).toEqual([]);
  });

  it('over maxBody: 413, declared or counted, and nothing is kept', async () => {
    const door = await openDoor({
      functions: { hello: { maxBody: 100_000 } },
      answer: (request, response) => {
        response.writeProcessing();
        request
          .on('error', () => undefined)
          .resume()
          .on('end', () => response.end('all of it'));
      },
    });
    const declared = await exchangeRaw(
      door.port,
      `POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100001\r\n\r\n${'a'.repeat(100_001)}`,
    );
    expect(declared).toMatch(/^HTTP\/1\.1 413 [\s\S]*payload_too_large/);
    expect(door.agents[0]!.requests).toHaveLength(0);
    const chunk = `2710\r\n${'a'.repeat(10_000)}\r\n`;
    const counted = await exchangeRaw(
      door.port,
      `POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(11)}0\r\n\r\n`,
    );
    expect(counted).toMatch(/^HTTP\/1\.1 413 [\s\S]*payload_too_large/);
    const fits = await exchangeRaw(
      door.port,
      `POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(10)}0\r\n\r\n`,
    );
    expect(fits).toMatch(/all of it/);
  });

  it('an answer before the body has been read: the caller gets it, and the connection is still in step', async () => {
    const door = await openDoor({ answer: (_request, response) => response.writeHead(401).end('no') });
    const size = 3 * 1024 * 1024;
    const client = await connected(door.port);
    client.write(`POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${size}\r\n\r\n`);
    client.write(Buffer.alloc(size));
    await expect.poll(() => client.received()).toMatch(/401 Unauthorized[\s\S]*no/);
    client.write('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect.poll(() => client.received().match(/401 Unauthorized/g)?.length).toBe(2);
  });

  it('256 MiB up and down stream through bounded memory, byte for byte', { timeout: 60_000 }, async () => {
    const total = 256 * 1024 * 1024;
    const block = randomBytes(1024 * 1024);
    const expected = createHash('sha1');
    for (let i = 0; i < 256; i++) expected.update(block);
    const wanted = expected.digest('hex');
    const door = await openDoor({
      functions: { hello: { maxBody: total } },
      // Sends every byte back as it comes.
      answer: (request, response) => {
        response.writeProcessing();
        request.pipe(response);
      },
    });
    const before = process.memoryUsage().rss;
    let peak = 0;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss - before);
    }, 20);
    const request = http.request({
      port: door.port,
      method: 'POST',
      path: '/fn/hello/',
      agent: false,
      headers: { 'content-length': total },
    });
    const answered = new Promise<string>((resolve, reject) => {
      request.on('error', reject).on('response', (response) => {
        const hash = createHash('sha1');
        response.on('data', (chunk: Buffer) => hash.update(chunk));
        response.on('end', () => resolve(hash.digest('hex')));
      });
    });
    for (let i = 0; i < 256; i++) if (!request.write(block)) await new Promise((resolve) => request.once('drain', resolve));
    request.end();
    expect(await answered).toBe(wanted);
    clearInterval(watch);
    // Client, router and node share this process here.
    expect(peak).toBeLessThan(200 * 1024 * 1024);
  });

  it('a client that reads nothing stops the node from being read', async () => {
    let sent = 0;
    const door = await openDoor({
      answer: (_request, response) => {
        const chunk = Buffer.alloc(64 * 1024);
        const more = () => {
          while (sent < 512 * 1024 * 1024) {
            sent += chunk.length;
            if (!response.write(chunk)) return void response.once('drain', more);
          }
        };
        more();
      },
    });
    const client = await connected(door.port);
    client.pause();
    client.write('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    let last = -1;
    await expect
      .poll(
        () => {
          const stuck = sent === last;
          last = sent;
          return stuck && sent > 0;
        },
        { interval: 300 },
      )
      .toBe(true);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });
});
