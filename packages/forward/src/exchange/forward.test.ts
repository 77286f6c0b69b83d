import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectTo, SocketUpstream, type Upstream } from '../client/upstream.js';
import { AnswerError, isHopByHop } from '../headers/headers.js';
import { bodyOf, HttpDownstream } from '../server/http-server.js';
import { type Exchange, forward, type Outcome } from './forward.js';

/** A server on a port of its own, closed when the test ends. */
async function listening<T extends net.Server>(server: T): Promise<{ server: T; port: number }> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => sockets.add(socket));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

const endToEnd = (raw: readonly string[]) => raw.filter((_, i) => !isHopByHop(raw[i - (i % 2)]!));

/** A server that forwards each request to the upstream, and the outcomes of what it forwarded. */
async function proxying(upstream: Upstream, onHead = (_status: number, headers: string[]): string[] | undefined => endToEnd(headers)) {
  const outcomes: Outcome[] = [];
  const exchanges: Exchange[] = [];
  const server = http.createServer((request, response) => {
    const body = bodyOf(request, 2 ** 30);
    body.accepted();
    const exchange = forward(
      { method: request.method!, path: request.url!, headers: endToEnd(request.rawHeaders) },
      new HttpDownstream(response),
      upstream,
      {
        body,
        onHead,
      },
    );
    exchanges.push(exchange);
    void exchange.outcome.then((outcome) => {
      outcomes.push(outcome);
      if (!response.headersSent && !response.destroyed) response.writeHead(599).end(outcome.kind);
    });
  });
  onTestFinished(() => upstream.destroy());
  const { port } = await listening(server);
  return { port, outcomes, exchanges };
}

const call = (port: number, init?: RequestInit) => fetch(`http://127.0.0.1:${port}/path?q`, init);

describe('forward', () => {
  it('names every end', async () => {
    const { server, port } = await listening(
      http.createServer((request, response) => {
        if (request.url !== '/path?q') response.writeHead(400);
        response.end('hello');
      }),
    );
    const { port: door, outcomes } = await proxying(connectTo({ host: '127.0.0.1', port }));
    expect(await (await call(door)).text()).toBe('hello');
    server.removeAllListeners('request').on('request', (request) => request.socket.destroy());
    expect(await (await call(door)).text()).toBe('broken');
    server.close();
    server.closeAllConnections();
    expect(await (await call(door)).text()).toBe('not_sent');
    expect(outcomes).toMatchObject([
      { kind: 'relayed', status: 200 },
      { kind: 'broken', answered: false, responseStarted: false },
      { kind: 'not_sent' },
    ]);
  });

  it('keeps an answer back where it is told to, with at most 64 KiB of its body', async () => {
    const { port } = await listening(
      http.createServer((_request, response) => response.writeHead(503, { 'x-why': 'full' }).end('a'.repeat(300_000))),
    );
    const { port: door, outcomes } = await proxying(connectTo({ host: '127.0.0.1', port }), () => undefined);
    expect((await call(door)).status).toBe(599);
    const [outcome] = outcomes;
    expect(outcome).toMatchObject({ kind: 'withheld', status: 503 });
    if (outcome?.kind === 'withheld') expect(outcome.body.length).toBe(65_536);
  });

  it('gives the reason of an abort back, and cuts an answer that had started', async () => {
    const { port } = await listening(
      http.createServer((request, response) => {
        if (request.method === 'POST') response.write('begun');
      }),
    );
    const { port: door, outcomes, exchanges } = await proxying(connectTo({ host: '127.0.0.1', port }));
    const silent = call(door);
    await expect.poll(() => exchanges.length).toBe(1);
    exchanges[0]!.abort('deadline');
    expect(await (await silent).text()).toBe('aborted');
    const started = await call(door, { method: 'POST' });
    exchanges[1]!.abort('deadline');
    await expect(started.text()).rejects.toThrow();
    expect(outcomes).toEqual([
      { kind: 'aborted', reason: 'deadline', sent: true, responseStarted: false },
      { kind: 'aborted', reason: 'deadline', sent: true, responseStarted: true },
    ]);
  });
});

describe('an answer that breaks HTTP', () => {
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  const answering = async (pieces: string[]) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', async () => {
        for (const piece of pieces) {
          socket.write(piece);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      });
    });
    const { port } = await listening(server);
    return proxying(connectTo({ host: '127.0.0.1', port }));
  };

  it.each([
    ['in its first chunk', [`${head}zz\r\n`], /hexadecimal/],
    ['behind a whole chunk', [`${head}5\r\nhello\r\nzz\r\n`], /hexadecimal/],
    ['in its trailers', [`${head}5\r\nhello\r\n0\r\nX\r\n\r\n`], /header line 1/],
    ['in a head that comes in pieces', [head.slice(0, 30), `${head.slice(30)}zz\r\n`], /hexadecimal/],
    ['by its status', ['HTTP/1.1 700 X\r\nContent-Length: 0\r\n\r\n'], /status 700/],
  ])('%s is no answer while all of it came in the segment of its head', async (_where, pieces, rule) => {
    const { port, outcomes } = await answering(pieces);
    expect(await (await call(port)).text()).toBe('broken');
    expect(outcomes).toMatchObject([{ kind: 'broken', answered: true, responseStarted: false }]);
    const [outcome] = outcomes;
    if (outcome?.kind !== 'broken') throw new Error('unreachable');
    expect(outcome.error).toBeInstanceOf(AnswerError);
    expect(outcome.error.message).toMatch(rule);
  });

  it('is cut where a part of it is under way', async () => {
    const { port, outcomes } = await answering([`${head}5\r\nhello\r\n`, 'zz\r\n']);
    const answer = await call(port);
    await expect(answer.text()).rejects.toThrow();
    expect([answer.status, outcomes]).toMatchObject([200, [{ kind: 'broken', answered: true, responseStarted: true }]]);
  });
});

describe('an answer in chunks of one byte', () => {
  it('goes on in few writes', async () => {
    const chunks = 5000;
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () =>
        socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(chunks)}0\r\n\r\n`),
      );
    });
    const { port } = await listening(server);
    const { port: door } = await proxying(connectTo({ host: '127.0.0.1', port }));
    const seen: string[] = [];
    const client = net.connect(door, '127.0.0.1', () => client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
    client.on('data', (chunk) => seen.push(String(chunk)));
    await new Promise((resolve) => client.once('close', resolve));
    const text = seen.join('');
    expect(text.match(/a/g)!.length).toBeGreaterThanOrEqual(chunks);
    expect(text.split('\r\n').length).toBeLessThan(200);
  });
});

describe('trailers', () => {
  it('that would change what the answer means do not pass', async () => {
    const { port } = await listening(
      http.createServer((_request, response) => {
        response.writeHead(200, { 'transfer-encoding': 'chunked' });
        response.addTrailers({
          'Set-Cookie': 'a=1',
          'Content-Type': 'text/html',
          Location: '/',
          'x-kiln-node': 'n',
          'X-Sum': '42',
          ETag: '"1"',
        });
        response.end('hello');
      }),
    );
    const { port: door } = await proxying(connectTo({ host: '127.0.0.1', port }));
    const response = await new Promise<http.IncomingMessage>((resolve) => http.get({ port: door, agent: false }, resolve));
    await response.toArray();
    expect(response.rawTrailers).toEqual(['X-Sum', '42', 'ETag', '"1"']);
  });
});

describe('an upstream that we dial', () => {
  it('reuses its connection for small bodies, and for streamed ones that ended whole', async () => {
    let connections = 0;
    const { server, port } = await listening(http.createServer((request, response) => void request.pipe(response)));
    server.on('connection', () => connections++);
    const { port: door } = await proxying(connectTo({ host: '127.0.0.1', port }));
    for (let i = 0; i < 5; i++) expect(await (await call(door, { method: 'POST', body: 'small' })).text()).toBe('small');
    expect(connections).toBe(1);
    const large = 'x'.repeat(300_000);
    for (let i = 0; i < 30; i++) expect(await (await call(door, { method: 'POST', body: large })).text()).toBe(large);
    expect(await (await call(door)).text()).toBe('');
    expect(connections).toBe(1);
  });

  it('closes the connection of an upload that was answered before its end, at once', async () => {
    const { server, port } = await listening(http.createServer((_request, response) => void response.end('enough')));
    const { port: door } = await proxying(connectTo({ host: '127.0.0.1', port }));
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(1000)),
    });
    const answer = await call(door, { method: 'POST', body, duplex: 'half' } as RequestInit);
    expect(answer.status).toBe(200);
    const open = () => new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)));
    await expect.poll(open, { timeout: 1000 }).toBe(0);
  });
});

describe('an upstream over one connection that the other side opened', () => {
  /** A server that speaks HTTP over connections which it opens, as a runner does. */
  async function dialledIn(onRequest: http.RequestListener) {
    const runner = http.createServer(onRequest);
    const taken = new Promise<net.Socket>((resolve) => agent.once('connection', resolve));
    const { port } = await listening(agent);
    const near = net.connect(port, '127.0.0.1');
    onTestFinished(() => void near.destroy());
    await new Promise((resolve) => near.once('connect', resolve));
    runner.emit('connection', near);
    return { near, upstream: new SocketUpstream(await taken) };
  }
  let agent = net.createServer();

  it('carries one request after another, bodies too', async () => {
    agent = net.createServer();
    const { upstream } = await dialledIn((request, response) => {
      request.pipe(response);
    });
    const { port } = await proxying(upstream);
    for (const body of ['one', 'x'.repeat(300_000), 'three']) {
      expect(await (await call(port, { method: 'POST', body })).text()).toBe(body);
      expect(upstream.connected).toBe(true);
    }
    const streamed = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 100; i++) controller.enqueue(new TextEncoder().encode('abc'.repeat(1000)));
        controller.close();
      },
    });
    expect((await (await call(port, { method: 'POST', body: streamed, duplex: 'half' } as RequestInit)).text()).length).toBe(300_000);
  });

  it('is gone when the other side closes, before or after its first request', async () => {
    agent = net.createServer();
    const first = await dialledIn((_request, response) => response.end());
    first.near.end();
    await expect.poll(() => first.upstream.connected).toBe(false);
    const { port } = await proxying(first.upstream);
    expect(await (await call(port)).text()).toBe('not_sent');

    agent = net.createServer();
    const second = await dialledIn((_request, response) => response.end('hello'));
    const { port: door } = await proxying(second.upstream);
    expect(await (await call(door)).text()).toBe('hello');
    second.near.destroy();
    await expect.poll(() => second.upstream.connected).toBe(false);
    expect(await (await call(door)).text()).toBe('not_sent');
  });

  it('is gone when the other side speaks unasked', async () => {
    agent = net.createServer();
    const { near, upstream } = await dialledIn((_request, response) => response.end());
    near.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake');
    await expect.poll(() => upstream.connected).toBe(false);
  });

  it('stays idle for longer than the other side hints', async () => {
    agent = net.createServer();
    const { upstream } = await dialledIn((_request, response) =>
      response.writeHead(200, { connection: 'keep-alive', 'keep-alive': 'timeout=1' }).end('hello'),
    );
    const { port } = await proxying(upstream);
    await (await call(port)).text();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(upstream.connected).toBe(true);
    expect(await (await call(port)).text()).toBe('hello');
  });
});
