import { describe, expect, it } from 'vitest';
import { app } from './python-instance.fixture.js';

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

  it('serves the next request after one whose task that waited for the caller to leave was given up', async () => {
    const instance = await app(`
import asyncio
async def app(scope, receive, send):
    if scope["type"] != "http": raise ValueError("no lifespan")
    await receive()
    watching = asyncio.ensure_future(receive())
    await asyncio.sleep(0.05)
    watching.cancel()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
`);
    for (let i = 0; i < 3; i++) expect((await instance.call()).text).toBe('ok');
    expect(instance.opened).toBe(1);
    expect(await instance.logs()).toBe('');
  });

  it('may be an object, as frameworks have it', async () => {
    const instance = await app(`
class Framework:
    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
app = Framework()
`);
    expect((await instance.call()).status).toBe(204);
    // It has no WebSockets, and its assertion is an error like any other.
    const headers = {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    };
    expect((await instance.call({ headers })).headers['x-kiln-error']).toBe('function_error');
    expect((await instance.call({ headers: { ...headers, 'sec-websocket-key': 'short' } })).status).toBe(400);
    expect((await instance.call()).status).toBe(204);
  });
});
