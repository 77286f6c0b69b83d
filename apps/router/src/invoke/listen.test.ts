import http from 'node:http';
import { logUnhandledRejections } from '@kiln/service/unhandled-rejections';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connected, exchangeRaw, get, openDoor } from './door.fixture.js';

const HEAD = 'Host: localhost\r\nConnection: close\r\n';
const problemIn = (answer: string) => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>;

describe('the door refuses what is ambiguous, and no function sees it', () => {
  const many = Array.from({ length: 201 }, (_, i) => `x-${i}: 1\r\n`).join('');
  it.each<[string, string, number]>([
    ['two Host headers', 'GET /fn/hello/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ['two equal Host headers', 'GET /fn/hello/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400],
    ['no Host header', 'GET /fn/hello/ HTTP/1.1\r\n\r\n', 400],
    ['an empty Host header', 'GET /fn/hello/ HTTP/1.1\r\nHost: \r\n\r\n', 400],
    ['a Host with user information', 'GET /fn/hello/ HTTP/1.1\r\nHost: a@b\r\n\r\n', 400],
    ['a Host with a path', 'GET /fn/hello/ HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
    ['both framings', `POST /fn/hello/ HTTP/1.1\r\n${HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['two lengths', `POST /fn/hello/ HTTP/1.1\r\n${HEAD}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`, 400],
    ['a signed length', `POST /fn/hello/ HTTP/1.1\r\n${HEAD}Content-Length: +3\r\n\r\nabc`, 400],
    ['gzip, chunked', `POST /fn/hello/ HTTP/1.1\r\n${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 400],
    ['chunked twice', `POST /fn/hello/ HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['chunked, identity', `POST /fn/hello/ HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, 400],
    ['HTTP/1.0 with chunks', 'POST /fn/hello/ HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['an absolute-form target', `GET http://localhost/fn/hello/ HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['an authority-form target', `GET localhost:80 HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['CONNECT', `CONNECT localhost:80 HTTP/1.1\r\n${HEAD}\r\n`, 405],
    ['TRACE', `TRACE /fn/hello/ HTTP/1.1\r\n${HEAD}\r\n`, 405],
    ['an unknown method', `FROB /fn/hello/ HTTP/1.1\r\n${HEAD}\r\n`, 501],
    ['a method that begins as a known one', `PROPFOO /fn/hello/ HTTP/1.1\r\n${HEAD}\r\n`, 501],
    ['a known method with more behind it', `GETX /fn/hello/ HTTP/1.1\r\n${HEAD}\r\n`, 501],
    ['a method in lower case', `get /fn/hello/ HTTP/1.1\r\n${HEAD}\r\n`, 501],
    ['a method of all that a token may have', `!#$%&'*+-.^_\`|~9aZ /fn/hello/ HTTP/1.1\r\n${HEAD}\r\n`, 501],
    ['a method that is no token', `G(T /fn/hello/ HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['a word and no request', 'hello\r\n\r\n', 400],
    ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['bare line feeds', 'GET /fn/hello/ HTTP/1.1\nHost: localhost\n\n', 400],
    ['a bare carriage return', 'GET /fn/hello/ HTTP/1.1\r\nHost: localhost\rx: y\r\n\r\n', 400],
    ['a space before a colon', `GET /fn/hello/ HTTP/1.1\r\n${HEAD}x-a : b\r\n\r\n`, 400],
    ['a folded line', `GET /fn/hello/ HTTP/1.1\r\n${HEAD}x-a: b\r\n c\r\n\r\n`, 400],
    ['NUL in a header', `GET /fn/hello/ HTTP/1.1\r\n${HEAD}x-a: b\0c\r\n\r\n`, 400],
    ['NUL in the target', `GET /fn/hello/\0 HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['HTTP/0.9', 'GET /fn/hello/\r\n\r\n', 400],
    ['HTTP/2.0', 'GET /fn/hello/ HTTP/2.0\r\nHost: localhost\r\n\r\n', 400],
    ['HTTP/1.2', 'GET /fn/hello/ HTTP/1.2\r\nHost: localhost\r\n\r\n', 400],
    ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['TLS', '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03', 400],
    ['a 64 KiB header', `GET /fn/hello/ HTTP/1.1\r\n${HEAD}x-big: ${'a'.repeat(65_536)}\r\n\r\n`, 431],
    ['a 64 KiB target', `GET /fn/hello/${'a'.repeat(65_536)} HTTP/1.1\r\n${HEAD}\r\n`, 431],
    ['201 header lines', `GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n${many}\r\n`, 431],
    ['an Expect of something else', `GET /fn/hello/ HTTP/1.1\r\n${HEAD}Expect: a-miracle\r\n\r\n`, 417],
  ])('%s', async (_what, bytes, status) => {
    const door = await openDoor();
    const answer = await exchangeRaw(door.port, Buffer.from(bytes, 'latin1'));
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toContain(`x-kiln-error: ${status === 405 ? 'method_not_allowed' : 'bad_request'}`);
    expect(answer).toContain('application/problem+json');
    expect(problemIn(answer)).toMatchObject({ status });
    expect(door.agents[0]!.requests).toHaveLength(0);
  });

  it('a bad chunk in a body that is being forwarded', async () => {
    const door = await openDoor();
    const answer = await exchangeRaw(door.port, `POST /fn/hello/ HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nabc\nde\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
  });

  it('but takes what is not: 199 lines, 30 KiB of headers, HTTP/1.0 without a host', async () => {
    const door = await openDoor();
    const lines = Array.from({ length: 197 }, (_, i) => `x-${i}: 1\r\n`).join('');
    expect(await exchangeRaw(door.port, `GET /fn/hello/ HTTP/1.1\r\n${HEAD}${lines}\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await exchangeRaw(door.port, `GET /fn/hello/ HTTP/1.1\r\n${HEAD}x: ${'a'.repeat(30_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await exchangeRaw(door.port, 'GET /fn/hello/ HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('the door’s own paths', () => {
  it('answers health and readiness, but not on a function’s host', async () => {
    const door = await openDoor();
    expect((await fetch(`http://127.0.0.1:${door.port}/healthz`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${door.port}/readyz?x`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${door.port}/healthz`, { method: 'POST' })).status).toBe(405);
    const onHost = await exchangeRaw(door.port, 'GET /healthz HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n');
    expect(onHost).toContain('"url":"/healthz"');
  });

  it('has nothing else', async () => {
    const door = await openDoor();
    const response = await fetch(`http://127.0.0.1:${door.port}/`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: 'not_found', requestId: response.headers.get('x-request-id') });
  });
});

describe('draining', () => {
  it('finishes what runs, says that it closes, takes no new connection', async () => {
    let finish: () => void = () => undefined;
    const door = await openDoor({
      answer: (_request, response) => {
        response.write('begun ');
        finish = () => response.end('done');
      },
    });
    const running = await connected(door.port);
    running.write('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect.poll(() => running.received()).toContain('begun');
    const idle = await connected(door.port);
    idle.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect.poll(() => idle.received()).toContain('ok');

    const drained = door.listener.drain(10_000);
    idle.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect.poll(() => idle.received()).toMatch(/503 Service Unavailable[\s\S]*Connection: close/);
    await expect.poll(() => idle.closed).toBe(true);
    await expect(fetch(`http://127.0.0.1:${door.port}/readyz`)).rejects.toThrow();
    expect(running.destroyed).toBe(false);
    finish();
    await drained;
    expect(running.received()).toContain('done');
  });

  it('ends by force what does not finish', async () => {
    const door = await openDoor({ answer: (_request, response) => response.write('for ever') });
    const stuck = await connected(door.port);
    stuck.write('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect.poll(() => stuck.received()).toContain('for ever');
    await door.listener.drain(400);
    await expect.poll(() => stuck.closed).toBe(true);
  });
});

describe('slow clients', () => {
  it('500 connections that send their heads a byte at a time slow nobody else', { timeout: 30_000 }, async () => {
    const door = await openDoor();
    const slow = await Promise.all(Array.from({ length: 500 }, () => connected(door.port)));
    for (const socket of slow) socket.write('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nx-slow: ');
    const drip = setInterval(() => {
      for (const socket of slow) if (socket.writable) socket.write('a');
    }, 500);
    try {
      const agent = new http.Agent({ keepAlive: true });
      const durations: number[] = [];
      for (let i = 0; i < 50; i++) {
        const sentAt = performance.now();
        await new Promise<void>((resolve, reject) => {
          http.get({ port: door.port, path: '/fn/hello/', agent }, (response) => response.resume().on('end', resolve)).on('error', reject);
        });
        durations.push(performance.now() - sentAt);
      }
      agent.destroy();
      expect(durations.sort((a, b) => a - b)[25]).toBeLessThan(50);
      expect(door.agents[0]!.requests).toHaveLength(50);
      // Their heads never end: after ten seconds each has been refused.
      await expect
        .poll(() => slow.filter((socket) => socket.destroyed || socket.readableEnded).length, { timeout: 14_000, interval: 250 })
        .toBe(500);
      expect(slow[0]!.received()).toMatch(/^HTTP\/1\.1 408 /);
    } finally {
      clearInterval(drip);
    }
  });
});

describe('a fault of the router’s own', () => {
  const SWITCH = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
  const requests: [string, string][] = [
    ['a request', 'GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r-7\r\n\r\n'],
    ['an upgrade', `GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r-7\r\n${SWITCH}\r\n`],
  ];
  const broken = {
    functions: { hello: { auth: 'key' as const }, open: {} },
    keys: {
      allows: () => {
        throw new Error('a fault that nobody knew of');
      },
    },
  };

  /** What the process's last handler tells. Until the test ends it stands in for the runner's, which would fail the run. */
  function toldLast(): unknown[] {
    const told: unknown[] = [];
    const usual = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    logUnhandledRejections({ error: ({ err }: { err: unknown }) => void told.push(err) });
    onTestFinished(() => {
      process.removeAllListeners('unhandledRejection');
      for (const listener of usual) process.on('unhandledRejection', listener);
    });
    return told;
  }

  it.each(requests)('under %s is answered 500, says nothing of itself, and is logged with the request’s id', async (_what, bytes) => {
    const faults: object[] = [];
    const door = await openDoor({ ...broken, onFault: (details) => void faults.push(details) });
    const answer = await exchangeRaw(door.port, bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 500 [\s\S]*x-kiln-error: internal\r\n/i);
    expect(problemIn(answer)).toMatchObject({ code: 'internal', status: 500, requestId: 'r-7' });
    expect(answer).not.toContain('nobody knew of');
    expect(faults).toEqual([{ err: expect.objectContaining({ message: 'a fault that nobody knew of' }), requestId: 'r-7' }]);
  });

  it.each(requests)(
    'under %s that can not even be logged ends the connection, and neither the process nor other calls',
    async (_what, bytes) => {
      const told = toldLast();
      const fault = new Error('the log is gone');
      const onFault = () => {
        throw fault;
      };
      const door = await openDoor({ ...broken, onFault });
      const client = await connected(door.port);
      client.write(bytes);
      await expect.poll(() => client.closed).toBe(true);
      expect(client.received()).toBe('');
      await expect.poll(() => told).toEqual([fault]);
      expect((await get(door, '/fn/open/')).statusCode).toBe(200);
    },
  );
});
