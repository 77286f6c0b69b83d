import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http, { type IncomingHttpHeaders } from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { engine } from '@kiln/testing/engine';
import type Dockerode from 'dockerode';
import { afterEach, describe, expect, it } from 'vitest';

const RUNNER = join(import.meta.dirname, '../../runner/python');
const running: Instance[] = [];
afterEach(async () => {
  for (const instance of running.splice(0)) await instance.end();
});

interface Options {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | string[];
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** The runner in a container, and the agent's end of its socket. */
class Instance {
  private readonly folder = mkdtempSync(join(tmpdir(), 'kiln-python-'));
  private readonly idle: net.Socket[] = [];
  private readonly waiting: ((socket: net.Socket) => void)[] = [];
  private container: Dockerode.Container | undefined;
  opened = 0;
  /** Keeps connections, as the agent does, and opens none: takes those that the runner opened. */
  private readonly agent = new http.Agent({ keepAlive: true });
  private readonly server = net.createServer((socket) => {
    this.opened += 1;
    socket.on('error', () => undefined);
    this.give(socket);
  });

  async start(files: Record<string, string>): Promise<void> {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, 'app', path)), { recursive: true });
      writeFileSync(join(this.folder, 'app', path), content);
    }
    mkdirSync(join(this.folder, 'run'));
    await new Promise<void>((resolve) => this.server.listen(join(this.folder, 'run/agent.sock'), resolve));
    for (const path of [this.folder, join(this.folder, 'run/agent.sock')]) chmodSync(path, 0o777);
    const all = { KILN_SOCKET: '/run/kiln/agent.sock', KILN_FUNCTION: 'f', PYTHONDONTWRITEBYTECODE: '1', ...this.env };
    this.container = await engine.createContainer({
      Image: 'python:3.13-slim-trixie',
      Entrypoint: ['python', '/opt/kiln/runner.py'],
      WorkingDir: '/app',
      User: '65532:65532',
      Env: Object.entries(all).map(([name, value]) => `${name}=${value}`),
      HostConfig: {
        NetworkMode: 'none',
        ReadonlyRootfs: true,
        Init: true,
        Binds: [`${RUNNER}:/opt/kiln:ro`, `${join(this.folder, 'app')}:/app:ro`, `${join(this.folder, 'run')}:/run/kiln:ro`],
      },
    });
    await this.container.start();
  }

  connection(): Promise<net.Socket> {
    const socket = this.idle.shift();
    if (socket !== undefined) return Promise.resolve(socket);
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  async call({ method = 'GET', path = '/', headers = {}, body }: Options = {}): Promise<Answer> {
    const request = http.request({ method, path, headers, agent: this.agent });
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => request.on('response', resolve).on('error', reject));
    for (const part of Array.isArray(body) ? body : []) request.write(part);
    request.end(typeof body === 'string' ? body : undefined);
    const response = await answered;
    return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) };
  }

  async logs(): Promise<string> {
    return (await this.container!.logs({ stdout: true, stderr: true })).toString();
  }

  async exitCode(): Promise<number> {
    return ((await this.container!.wait()) as { StatusCode: number }).StatusCode;
  }

  async end(): Promise<void> {
    this.server.close();
    this.agent.destroy();
    await this.container?.remove({ force: true, v: true });
    rmSync(this.folder, { recursive: true });
  }

  constructor(private readonly env: Record<string, string>) {
    this.agent.createConnection = (_options, callback) => {
      void this.connection().then((socket) => callback?.(null, socket));
      return undefined;
    };
  }

  private give(socket: net.Socket): void {
    const waiting = this.waiting.shift();
    if (waiting === undefined) this.idle.push(socket);
    else waiting(socket);
  }
}

async function start(files: Record<string, string>, env: Record<string, string> = {}): Promise<Instance> {
  const instance = new Instance(env);
  running.push(instance);
  await instance.start(files);
  return instance;
}

const event = (source: string, more: Record<string, string> = {}) => start({ 'handler.py': source, ...more }, { KILN_ENTRY: 'handler.py' });
const app = (source: string, env: Record<string, string> = {}) =>
  start({ 'app.py': source }, { KILN_ENTRY: 'app.py', KILN_HANDLER: 'app', ...env });

describe('handler(event)', () => {
  it('gets the JSON of the body, and what it returns is the answer', async () => {
    const instance = await event('def handler(event):\n    return {"got": event}\n');
    const answer = await instance.call({ method: 'POST', body: '{"a":[1,"ü"]}' });
    expect([answer.status, answer.headers['content-type'], JSON.parse(answer.text)]).toEqual([
      200,
      'application/json',
      { got: { a: [1, 'ü'] } },
    ]);
    const chunked = await instance.call({ method: 'POST', body: ['{"a":', '2', '}'] });
    expect([JSON.parse(chunked.text), instance.opened]).toEqual([{ got: { a: 2 } }, 1]);
  });

  it('gets the sample event for a body that is empty or no JSON, fresh for each call', async () => {
    const source = 'def handler(event):\n    event["n"] += 1\n    return event\n';
    const instance = await event(source, { 'event.json': '{"n":1}' });
    for (const body of ['', 'no json', '']) expect((await instance.call({ method: 'POST', body })).text).toBe('{"n": 2}');
  });

  it('gets {} where there is no sample, and refuses what is no JSON', async () => {
    const instance = await event('def handler(event):\n    return event\n');
    expect((await instance.call()).text).toBe('{}');
    const refused = await instance.call({ method: 'POST', body: '{' });
    expect([refused.status, refused.headers['x-kiln-error']]).toEqual([400, 'bad_request']);
  });

  it('that raises gives function_error, its stack in the log under the request id, and the next call works', async () => {
    const instance = await event(
      'import logging\ndef handler(event):\n    print("hello")\n    logging.warning("careful")\n    return {"x": 1}[event["key"]]\n',
    );
    const failed = await instance.call({ method: 'POST', body: '{"key":"y"}', headers: { 'x-request-id': 'r-1' } });
    expect([failed.status, failed.headers['x-kiln-error'], JSON.parse(failed.text)]).toMatchObject([
      500,
      'function_error',
      { code: 'function_error', requestId: 'r-1' },
    ]);
    expect((await instance.call({ method: 'POST', body: '{"key":"x"}' })).text).toBe('1');
    const logs = await instance.logs();
    expect(logs).toMatch(/\{"kiln":1,"level":"error","message":"Traceback[^\n]*KeyError: 'y'[^\n]*"requestId":"r-1"\}/);
    expect(logs).toContain('{"kiln":1,"level":"info","message":"hello","requestId":"r-1"}');
    expect(logs).toContain('{"kiln":1,"level":"warn","message":"careful","requestId":"r-1"}');
  });

  it('may be a coroutine, and may ask for the request', async () => {
    const instance = await event(
      'import asyncio\nasync def handler(event, context):\n    await asyncio.sleep(0)\n    return [context.method, context.query, context.headers["x-own"]]\n',
    );
    expect((await instance.call({ path: '/?a=1', headers: { 'X-Own': 'me' } })).text).toBe('["GET", "a=1", "me"]');
  });

  it.each([
    ['a module that raises', 'raise RuntimeError("no database")\n', /RuntimeError: no database/],
    ['a module without the handler', 'def other(event):\n    pass\n', /handler\.py has no \\"handler\\"; it has: other/],
  ])('does not connect with %s', async (_what, source, message) => {
    const instance = await event(source);
    expect(await instance.exitCode()).toBe(1);
    expect([instance.opened, await instance.logs()]).toEqual([0, expect.stringMatching(message)]);
  });
});

describe('WSGI', () => {
  const ECHO = `
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    names = ["REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST"]
    return ["\\n".join([environ[name] for name in names] + [environ["wsgi.input"].read().decode()]).encode()]
`;

  it('sees the request as the caller sent it', async () => {
    const instance = await app(ECHO);
    const answer = await instance.call({
      method: 'PUT',
      path: '/a%20b?q=1',
      headers: {
        host: 'h.example:81',
        'x-forwarded-prefix': '/fn/f',
        'x-forwarded-for': '10.9.8.7',
        'x-forwarded-proto': 'https',
        x_forwarded_for: '6.6.6.6',
      },
      body: ['one ', 'two'],
    });
    expect(answer.text.split('\n')).toEqual(['PUT', '/fn/f', '/a b', 'q=1', '10.9.8.7', 'https', 'h.example:81', 'one two']);
    expect([answer.headers['set-cookie'], answer.headers['content-length']]).toEqual([['a=1', 'b=2'], String(answer.text.length)]);
    expect([(await instance.call({ method: 'HEAD' })).text, instance.opened]).toEqual(['', 1]);
  });

  it('streams, keeps to its threads, and serves the next request where a body was not read', async () => {
    const instance = await app(
      `
import threading, time
def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/slow": time.sleep(0.5)
    return (part for part in [b"a", b"", str(threading.active_count()).encode()])
`,
      { KILN_CONCURRENCY: '3' },
    );
    const three = () => Promise.all([1, 2, 3].map(() => instance.call({ path: '/slow' })));
    const slow = [...(await three()), ...(await three())];
    expect(
      slow
        .map(({ text }) => text)
        .toSorted()
        .at(-1),
    ).toBe('a3');
    expect([slow[0]?.headers['transfer-encoding'], instance.opened]).toEqual(['chunked', 3]);
    expect((await instance.call({ method: 'POST', body: 'x'.repeat(100_000) })).status).toBe(200);
    expect(instance.opened).toBe(3);
  });

  it('that raises before its answer gives function_error; after its beginning the answer breaks off', async () => {
    const instance = await app(`
def app(environ, start_response):
    if environ["PATH_INFO"] == "/early": raise ValueError("early")
    start_response("200 OK", [("x-kiln-error", "function_error")])
    yield b"begun"
    if environ["PATH_INFO"] == "/late": raise ValueError("late")
`);
    const early = await instance.call({ path: '/early' });
    expect([early.status, early.headers['x-kiln-error']]).toEqual([500, 'function_error']);
    await expect(instance.call({ path: '/late' })).rejects.toThrow(/aborted/);
    const fine = await instance.call();
    expect([fine.text, fine.headers['x-kiln-error']]).toEqual(['begun', undefined]);
  });

  it('can put no header or answer of its own behind a line end', async () => {
    const instance = await app(
      'def app(environ, start_response):\n    start_response("200 OK", [("x", "a\\r\\nset-cookie: b")])\n    return [b""]\n',
    );
    expect((await instance.call()).status).toBe(500);
  });
});

describe('ASGI', () => {
  const SOURCE = `
import asyncio, json
started = []
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            started.append(message["type"])
            await send({"type": message["type"] + ".complete"})
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"): break
    if scope["path"] == "/raise": raise ValueError("no")
    if scope["path"] == "/wait":
        print("waiting")
        assert (await receive())["type"] == "http.disconnect"
        print("left")
        return
    if scope["path"] == "/slow": await asyncio.sleep(0.3)
    told = [scope["method"], scope["path"], scope["root_path"], scope["client"], body.decode(), started]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(told).encode(), "more_body": scope["path"] == "/stream"})
    if scope["path"] == "/stream": await send({"type": "http.response.body", "body": b""})
`;

  it('starts with its lifespan, and sees the request as the caller sent it', async () => {
    const instance = await app(SOURCE);
    const answer = await instance.call({ method: 'POST', path: '/a%20b', headers: { 'x-forwarded-prefix': '/fn/f' }, body: ['x', 'y'] });
    expect(JSON.parse(answer.text)).toEqual(['POST', '/a b', '/fn/f', null, 'xy', ['lifespan.startup']]);
    const streamed = await instance.call({ path: '/stream', method: 'POST', body: 'z' });
    expect([streamed.headers['transfer-encoding'], JSON.parse(streamed.text)[4]]).toEqual(['chunked', 'z']);
    expect(instance.opened).toBe(1);
  });

  it('answers several at once on as many connections, and an error with function_error', async () => {
    const instance = await app(SOURCE, { KILN_CONCURRENCY: '4' });
    const since = performance.now();
    await Promise.all(Array.from({ length: 4 }, () => instance.call({ path: '/slow' })));
    expect([instance.opened, performance.now() - since < 10_000]).toEqual([4, true]);
    const failed = await instance.call({ path: '/raise' });
    expect([failed.status, failed.headers['x-kiln-error']]).toEqual([500, 'function_error']);
  });

  it('is told when the caller leaves', async () => {
    const instance = await app(SOURCE);
    const socket = await instance.connection();
    socket.write('GET /wait HTTP/1.1\r\nhost: h\r\n\r\n');
    await expect.poll(() => instance.logs(), { timeout: 10_000 }).toContain('"waiting"');
    socket.destroy();
    await expect.poll(() => instance.logs(), { timeout: 10_000 }).toContain('"left"');
    expect((await instance.call()).status).toBe(200);
  });

  it('may be an object, as frameworks have it, and refuses WebSockets', async () => {
    const instance = await app(`
class Framework:
    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
app = Framework()
`);
    expect((await instance.call()).status).toBe(204);
    const upgrade = await instance.call({ headers: { connection: 'upgrade', upgrade: 'websocket' } });
    expect(upgrade.status).toBe(501);
  });
});
