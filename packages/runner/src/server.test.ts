import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { functionExports, type Handler } from './handler/exports.js';
import type { OnUnanswered } from './handler/invoke.js';
import { createListener, createServer } from './server.js';

// biome-ignore lint/suspicious/noExplicitAny: handlers are a user's plain JavaScript
type Any = any;
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
  vi.restoreAllMocks();
});

async function serve(exported: unknown, onUnanswered: OnUnanswered = () => undefined): Promise<string> {
  const [target] = functionExports({ 'module.exports': exported });
  if (target === undefined) throw new Error('exports no function');
  const listener = await createListener(target, onUnanswered);
  const server = createServer(() => ({ target, listener }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const handler = (action: (req: Any, res: Any) => unknown): Handler => action as Handler;
const tellBody = handler((req, res) =>
  res.json({ type: Buffer.isBuffer(req.body) ? 'buffer' : typeof req.body, body: req.body, raw: req.rawBody.toString() }),
);

async function post(url: string, type: string | undefined, body: string): Promise<Any> {
  const answer = await fetch(url, { method: 'POST', body, headers: type === undefined ? {} : { 'content-type': type } });
  return answer.json();
}

describe('the body', () => {
  it.each([
    ['application/json', '{"a":[1]}', 'object', { a: [1] }],
    ['application/json; charset=utf-8', '"text"', 'string', 'text'],
    ['application/vnd.api+json', '{"a":1}', 'object', { a: 1 }],
    ['application/x-www-form-urlencoded', 'a=1&b[c]=2&d=%20', 'object', { a: '1', b: { c: '2' }, d: ' ' }],
    ['text/plain', 'ünïcode', 'string', 'ünïcode'],
  ])('of %s is parsed, and its bytes are in rawBody', async (type, sent, kind, body) => {
    expect(await post(await serve(tellBody), type, sent)).toEqual({ type: kind, body, raw: sent });
  });

  it('of any other type is a Buffer', async () => {
    const told = await post(await serve(tellBody), 'application/octet-stream', 'bytes');
    expect([told.type, told.raw]).toEqual(['buffer', 'bytes']);
  });

  it('that is missing gives an empty rawBody, and fields of body are just undefined', async () => {
    const url = await serve(handler((req, res) => res.json([req.rawBody.length, req.body.name ?? 'none'])));
    expect(await (await fetch(url)).json()).toEqual([0, 'none']);
    expect(await post(url, 'application/json', '')).toEqual([0, 'none']);
  });

  it('that is larger than Express would take arrives whole, chunked too', async () => {
    const url = await serve(handler((req, res) => res.json([req.rawBody.length, req.body.text.length])));
    const sent = JSON.stringify({ text: 'x'.repeat(3_000_000) });
    expect(await post(url, 'application/json', sent)).toEqual([sent.length, 3_000_000]);
    const stream = new Blob([sent]).stream();
    const answer = await fetch(url, {
      method: 'POST',
      body: stream,
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    } as Any);
    expect(await answer.json()).toEqual([sent.length, 3_000_000]);
  });

  it('that is not what it says it is gets 400 and never reaches the handler', async () => {
    const called = vi.fn();
    const url = await serve(handler(called));
    const answer = await fetch(url, { method: 'POST', body: '{"a":', headers: { 'content-type': 'application/json' } });
    expect([answer.status, ((await answer.json()) as Any).code]).toEqual([400, 'bad_request']);
    expect(called).not.toHaveBeenCalled();
  });

  it('can still be piped by the handler', async () => {
    const url = await serve(handler(async (req, res) => void req.pipe(res)));
    const answer = await fetch(url, { method: 'POST', body: 'x'.repeat(200_000) });
    expect((await answer.text()).length).toBe(200_000);
  });

  it('is read twice on one connection without mixing the requests up', async () => {
    const url = await serve(tellBody);
    for (const sent of ['one', 'two', 'three']) expect((await post(url, 'text/plain', sent)).body).toBe(sent);
  });
});

describe('an Express app', () => {
  it('has its own parsers, its own answer to a path it does not know, and the parsed body without parsers', async () => {
    const app = express();
    app.post('/own', express.json(), (req, res) => void res.json(req.body));
    app.post('/raw', express.raw({ type: '*/*' }), (req, res) => void res.json(Buffer.isBuffer(req.body)));
    app.post('/none', (req: Any, res) => void res.json([req.body, req.rawBody.length]));
    const url = await serve(app);
    expect(await post(`${url}/own`, 'application/json', '{"a":1}')).toEqual({ a: 1 });
    expect(await post(`${url}/raw`, 'application/json', '{"a":1}')).toBe(true);
    expect(await post(`${url}/none`, 'application/json', '{"a":1}')).toEqual([{ a: 1 }, 7]);
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
  });

  it('that answers later is waited for, and sees the caller’s address', async () => {
    const app = express();
    app.get('/', (req, res) => void setTimeout(() => res.send(`${req.ip} ${req.protocol}`), 30));
    const answer = await fetch(await serve(app), { headers: { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https' } });
    expect(await answer.text()).toBe('203.0.113.9 https');
  });

  it('that throws shows no stack to its caller', async () => {
    vi.spyOn(console, 'error').mockReturnValue(undefined);
    const app = express();
    app.get('/', () => {
      throw new Error('secret detail');
    });
    const answer = await fetch(await serve(app));
    expect([answer.status, (await answer.text()).includes('secret detail')]).toEqual([500, false]);
  });
});

describe('a handler', () => {
  it('gets Express’s req and res, with the caller’s address', async () => {
    const url = await serve(handler((req, res) => res.status(201).json([req.query.x, req.path, req.ip, req.get('x-a')])));
    const answer = await fetch(`${url}/a/b?x=1`, { headers: { 'x-forwarded-for': '203.0.113.9', 'x-a': 'b' } });
    expect([answer.status, await answer.json()]).toEqual([201, ['1', '/a/b', '203.0.113.9', 'b']]);
    expect([answer.headers.get('x-powered-by'), answer.headers.get('etag')]).toEqual([null, null]);
  });

  it('that ends without an answer is told apart by how it ended', async () => {
    const end: OnUnanswered = (response, ending) => response.end(ending);
    expect(
      await (
        await fetch(
          await serve(
            handler(async () => undefined),
            end,
          ),
        )
      ).text(),
    ).toBe('resolved');
    expect(
      await (
        await fetch(
          await serve(
            handler(() => undefined),
            end,
          ),
        )
      ).text(),
    ).toBe('returned');
  });

  it('that is async and started a stream is not cut', async () => {
    const url = await serve(
      handler(async (_req, res) => {
        res.write('one ');
        setTimeout(() => res.end('two'), 30);
      }),
    );
    expect(await (await fetch(url)).text()).toBe('one two');
  });

  it('that returns nothing and answers later is waited for', async () => {
    const unanswered = vi.fn();
    const answer = await fetch(
      await serve(
        handler((_req, res) => void setTimeout(() => res.send('late'), 30)),
        unanswered,
      ),
    );
    expect(await answer.text()).toBe('late');
    expect(unanswered).toHaveBeenCalledOnce();
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('broken');
      },
    ],
  ])('that %s gives function_error, without what it had set, and its stack in the log', async (_how, fail) => {
    const logged = vi.spyOn(console, 'error').mockReturnValue(undefined);
    const url = await serve(
      handler((_req, res) => {
        res.set('content-type', 'text/html').set('x-own', '1').status(201);
        return fail();
      }),
    );
    const answer = await fetch(url, { headers: { 'x-request-id': 'r1' } });
    expect([answer.status, answer.headers.get('x-kiln-error'), answer.headers.get('x-own')]).toEqual([500, 'function_error', null]);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.json()).toMatchObject({ code: 'function_error', requestId: 'r1' });
    expect(logged.mock.calls).toEqual([[expect.objectContaining({ message: 'broken' })]]);
  });

  it('that throws after the head went out has its connection cut, never ended cleanly', async () => {
    vi.spyOn(console, 'error').mockReturnValue(undefined);
    const url = await serve(
      handler(async (_req, res) => {
        res.write('half');
        throw new Error('broken');
      }),
    );
    await expect(fetch(url).then((answer) => answer.text())).rejects.toThrow();
  });

  it('that passes the request on gets 404, with an error function_error', async () => {
    vi.spyOn(console, 'error').mockReturnValue(undefined);
    const passing = await serve(((_req: Any, _res: Any, next: Any) => next()) as Handler);
    const failing = await serve(((_req: Any, _res: Any, next: Any) => next(new Error('no'))) as Handler);
    expect((await fetch(passing)).status).toBe(404);
    expect((await fetch(failing)).headers.get('x-kiln-error')).toBe('function_error');
  });

  it('is told when its caller leaves', async () => {
    const closed: string[] = [];
    const started = Promise.withResolvers<void>();
    const url = await serve(
      handler((req, res) => {
        req.on('close', () => closed.push('req'));
        res.on('close', () => closed.push('res'));
        started.resolve();
      }),
    );
    const caller = new AbortController();
    const call = fetch(url, { signal: caller.signal }).catch(() => undefined);
    await started.promise;
    caller.abort();
    await call;
    await vi.waitFor(() => expect(closed.toSorted()).toEqual(['req', 'res']));
  });

  it('answers HEAD without a body', async () => {
    const answer = await fetch(await serve(handler((_req, res) => res.send('twelve chars'))), { method: 'HEAD' });
    expect([answer.headers.get('content-length'), await answer.text()]).toEqual(['12', '']);
  });

  it('takes headers up to what the router lets through', async () => {
    const answer = await fetch(await serve(handler((req, res) => res.send(String(req.get('x-long').length)))), {
      headers: { 'x-long': 'x'.repeat(31_000) },
    });
    expect(await answer.text()).toBe('31000');
  });
});

describe('an Upgrade header', () => {
  async function upgrade(url: string, protocol: string): Promise<{ status: number; upgraded: boolean }> {
    const request = http.request(url, { headers: { connection: 'Upgrade', upgrade: protocol } }).end();
    return await new Promise((resolve, reject) => {
      request.on('response', (response) => resolve({ status: response.statusCode ?? 0, upgraded: false }));
      request.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve({ status: response.statusCode ?? 0, upgraded: true });
      });
      request.on('error', reject);
    });
  }

  it('for a WebSocket goes to the module’s upgrade', async () => {
    const url = await serve({
      hello: handler((_req, res) => res.send('plain')),
      upgrade: (_req: Any, socket: Any) =>
        socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    });
    expect(await upgrade(url, 'websocket')).toEqual({ status: 101, upgraded: true });
    expect(await (await fetch(url)).text()).toBe('plain');
  });

  it('for a WebSocket is refused where the module has no upgrade', async () => {
    const called = vi.fn();
    expect(await upgrade(await serve(handler(called)), 'WebSocket')).toEqual({ status: 501, upgraded: false });
    expect(called).not.toHaveBeenCalled();
  });

  it('for anything else is ignored', async () => {
    expect(await upgrade(await serve(handler((_req, res) => res.send('plain'))), 'h2c')).toEqual({ status: 200, upgraded: false });
  });
});
