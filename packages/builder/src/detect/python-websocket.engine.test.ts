import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { app } from './python-instance.fixture.js';

const SOURCE = `
import asyncio
async def app(scope, receive, send):
    if scope["type"] != "websocket": return
    assert (await receive())["type"] == "websocket.connect"
    if scope["path"] == "/refuse": return await send({"type": "websocket.close"})
    headers = [(b"x-path", scope["path"].encode())]
    await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[-1], "headers": headers})
    if scope["path"] == "/raise": raise ValueError("no")
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            print("left with", message["code"])
            try:
                await send({"type": "websocket.send", "text": "late"})
            except OSError:
                return
        if message.get("text") == "end": return await send({"type": "websocket.close", "code": 4001, "reason": "asked"})
        if message.get("text") == "where": await send({"type": "websocket.send", "text": scope["scheme"] + scope["root_path"] + scope["path"]})
        else: await send({"type": "websocket.send", **{key: message[key] for key in ("text", "bytes") if key in message}})
`;

const servers: net.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

type Instance = Awaited<ReturnType<typeof app>>;

/** An address whose connections are those that the runner opened. */
async function doorOf(instance: Instance): Promise<number> {
  const server = net.createServer((client) => {
    client.on('error', () => undefined);
    void instance.connection().then((socket) => {
      client.pipe(socket).pipe(client);
      client.once('close', () => socket.destroy());
      socket.once('close', () => client.destroy());
    });
  });
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

async function open(instance: Instance, path: string, protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${await doorOf(instance)}${path}`, protocols);
  socket.binaryType = 'arraybuffer';
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error('refused')));
  });
  return socket;
}

async function ask(socket: WebSocket, message: string | Buffer): Promise<unknown> {
  const answered = once(socket, 'message') as Promise<[MessageEvent]>;
  socket.send(message);
  return (await answered)[0].data;
}

describe('a WebSocket of an ASGI application', () => {
  it('carries text and bytes of every size, both ways, and ends as the application says', async () => {
    const socket = await open(await app(SOURCE), '/a%20b', ['one', 'two']);
    expect(socket.protocol).toBe('two');
    expect(await ask(socket, 'where')).toBe('ws/a b');
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 3_000_000]) {
      const text = 'ü'.repeat(size / 2) + 'x'.repeat(size % 2);
      expect((await ask(socket, text)) === text).toBe(true);
      const bytes = Buffer.alloc(size, 'abc');
      expect(Buffer.from((await ask(socket, bytes)) as ArrayBuffer).equals(bytes)).toBe(true);
    }
    const closed = once(socket, 'close') as Promise<[CloseEvent]>;
    socket.send('end');
    const [{ code, reason }] = await closed;
    expect([code, reason]).toEqual([4001, 'asked']);
  });

  it('tells the application when its caller leaves, and serves the next one', async () => {
    const instance = await app(SOURCE);
    const socket = await open(instance, '/');
    const closed = once(socket, 'close') as Promise<[CloseEvent]>;
    socket.close(4000, 'bye');
    expect((await closed)[0].code).toBe(4000);
    await expect.poll(() => instance.logs(), { timeout: 10_000 }).toContain('left with 4000');
    expect(await ask(await open(instance, '/'), 'again')).toBe('again');
  });

  it('is refused where the application says so, and closed with 1011 where it raises', async () => {
    const instance = await app(SOURCE, { KILN_CONCURRENCY: '2' });
    await expect(open(instance, '/refuse')).rejects.toThrow('refused');
    const raised = await open(instance, '/raise');
    expect(((await once(raised, 'close')) as [CloseEvent])[0].code).toBe(1011);
    await expect.poll(() => instance.logs(), { timeout: 10_000 }).toContain('ValueError');
  });

  it('puts fragments together, answers a ping between them, and ends what is against the protocol', async () => {
    const instance = await app(SOURCE);
    const socket = await instance.connection();
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const said = () => Buffer.concat(chunks);
    const key = 'AAAAAAAAAAAAAAAAAAAAAA==';
    socket.write(
      `GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`,
    );
    await expect.poll(() => said().toString(), { timeout: 10_000 }).toMatch(/ 101 .*\r\n\r\n$/s);
    chunks.length = 0;
    // Masked with zeros: the bytes stay as they are.
    socket.write(Buffer.from('\x01\x82\0\0\0\0ab' + '\x89\x81\0\0\0\0p' + '\x80\x81\0\0\0\0c', 'latin1'));
    await expect.poll(() => said().toString('latin1')).toBe('\x8a\x01p' + '\x81\x03abc');
    // Not masked.
    socket.write(Buffer.from('\x81\x01x', 'latin1'));
    await expect.poll(() => said().toString('latin1')).toContain('\x88\x02\x03\xea');
  });

  it('ends a message that is too large before it is read', async () => {
    const instance = await app(SOURCE);
    const socket = await open(instance, '/');
    const closed = once(socket, 'close') as Promise<[CloseEvent]>;
    socket.send(Buffer.alloc(17 * 1024 * 1024));
    expect([1009, 1006]).toContain((await closed)[0].code);
    await expect.poll(() => instance.logs(), { timeout: 10_000 }).toContain('left with 1009');
  });
});
