import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { connected, type Door, exchangeRaw, openDoor, refuseWith } from './door.fixture.js';

const ASK =
  'GET /fn/hello/chat?room=1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

/** Makes every agent switch protocols and then hand each connection to `onSocket`. */
function switching(door: Door, onSocket: (socket: Duplex) => void, more = ''): string[][] {
  const asked: string[][] = [];
  for (const { server } of door.agents) {
    server.on('upgrade', (request, socket, head) => {
      asked.push([request.url!, ...request.rawHeaders]);
      socket.on('error', () => socket.destroy());
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: abc\r\nx-kiln-instance: i1\r\nx-kiln-load: 1\r\n' +
          `${more}\r\n`,
      );
      if (head.length > 0) socket.unshift(head);
      onSocket(socket);
    });
  }
  return asked;
}

describe('an upgrade', () => {
  it('is spliced, bytes both ways, also those sent at once with the request', async () => {
    const door = await openDoor();
    const asked = switching(door, (socket) => void socket.pipe(socket));
    const client = await connected(door.port);
    client.write(`${ASK}early`);
    await expect.poll(() => client.received()).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n[\s\S]*\r\n\r\nearly$/);
    expect(client.received()).toContain('Sec-WebSocket-Accept: abc\r\n');
    expect(client.received()).toContain('x-kiln-instance: i1\r\n');
    expect(client.received()).not.toContain('x-kiln-load');
    client.write('later');
    await expect.poll(() => client.received()).toMatch(/earlylater$/);
    expect(asked[0]![0]).toBe('/chat?room=1');
    const lines = asked[0]!.join('\n');
    expect(lines).toContain('Sec-WebSocket-Key\ndGhlIHNhbXBsZSBub25jZQ==');
    expect(lines).toContain('Connection\nUpgrade\nUpgrade\nwebsocket');
    expect(lines).toContain('x-kiln-function\nhello');
    expect(door.nodes.live()[0]!.load).toBe(1);
    client.end();
    await expect.poll(() => door.records).toMatchObject([{ status: 101, end: 'switched', instance: 'i1' }]);
  });

  it('leaves the choice among all subprotocols to the function, and its answer as it is', async () => {
    const door = await openDoor();
    const asked = switching(door, (socket) => void socket.pipe(socket), 'Sec-WebSocket-Protocol: graphql-ws\r\n');
    const client = await connected(door.port);
    const offer = 'Sec-WebSocket-Protocol: graphql-transport-ws, graphql-ws\r\nSec-WebSocket-Extensions: permessage-deflate\r\n';
    // As Firefox says it, with the first message right behind.
    client.write(`${ASK.replace('Connection: Upgrade', 'Connection: keep-alive, Upgrade').replace(/\r\n$/, offer)}\r\nearly`);
    await expect.poll(() => client.received()).toMatch(/^HTTP\/1\.1 101 [\s\S]*\r\n\r\nearly$/);
    expect(client.received().match(/sec-websocket-.*/gi)).toEqual(['Sec-WebSocket-Accept: abc', 'Sec-WebSocket-Protocol: graphql-ws']);
    expect(asked[0]!.join('\n')).toContain('\nSec-WebSocket-Protocol\ngraphql-transport-ws, graphql-ws\n');
  });

  it('ends at one side when the other one ends', async () => {
    const door = await openDoor();
    const sockets: Duplex[] = [];
    switching(door, (socket) => sockets.push(socket));
    const [leaving, left] = [await connected(door.port), await connected(door.port)];
    leaving.write(ASK);
    await expect.poll(() => sockets.length).toBe(1);
    let closed = false;
    sockets[0]!.resume().on('end', () => {
      closed = true;
    });
    leaving.destroy();
    await expect.poll(() => closed).toBe(true);
    left.write(ASK);
    await expect.poll(() => sockets.length).toBe(2);
    sockets[1]!.end('goodbye');
    await expect.poll(() => left.closed).toBe(true);
    expect(left.received()).toMatch(/goodbye$/);
  });

  it('that the function declines is answered with its answer, framed as it came', async () => {
    let headers: Record<string, string> = { 'x-why': 'no', 'x-kiln-instance': 'i1' };
    const door = await openDoor({ answer: (_request, response) => response.writeHead(403, headers).end('not you') });
    expect(await exchangeRaw(door.port, ASK)).toMatch(
      /^HTTP\/1\.1 403 Forbidden\r\nx-why: no\r\n[\s\S]*Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nnot you\r\n0\r\n\r\n$/,
    );
    headers = { 'Content-Length': '7' };
    const whole = await exchangeRaw(door.port, ASK);
    expect(whole).toMatch(/^HTTP\/1\.1 403 Forbidden\r\nContent-Length: 7\r\n[\s\S]*Connection: close\r\n\r\nnot you$/);
    expect(whole).not.toMatch(/transfer-encoding/i);
    expect(door.records).toMatchObject([
      { status: 403, end: 'answered' },
      { status: 403, end: 'answered' },
    ]);
  });

  it('that is declined with half an answer is cut so that its client sees it', async () => {
    const door = await openDoor({
      answer: (_request, response) => {
        response.writeHead(403, { 'Content-Length': '700' }).write('not you');
        setTimeout(() => response.socket?.destroy(), 50);
      },
    });
    const client = await connected(door.port);
    client.write(ASK);
    await expect.poll(() => client.closed).toBe(true);
    expect(client.received()).toMatch(/Content-Length: 700\r\n[\s\S]*\r\n\r\nnot you$/);
    expect(door.records).toMatchObject([{ status: 403, end: 'cut' }]);
  });

  const heads = [15_700, 16_300, 16_700, 60_000];
  it.each(heads)('with a head of %i bytes is relayed, and no node is suspected for it', async (bytes) => {
    const door = await openDoor();
    door.agents[0]!.server.on('upgrade', (_request, socket) => {
      socket.on('error', () => socket.destroy());
      const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: ';
      socket.write(`${head}${'a'.repeat(bytes - head.length)}\r\n\r\nhello`);
    });
    const client = await connected(door.port);
    client.write(ASK);
    await expect.poll(() => client.received()).toMatch(/^HTTP\/1\.1 101 [\s\S]*a\r\n[\s\S]*hello$/);
    expect(door.nodes.live()).toHaveLength(1);
  });

  it('whose head is over every limit is refused, and no node is suspected for it', async () => {
    const door = await openDoor({ agents: 3 });
    for (const { server } of door.agents) {
      server.on('upgrade', (_request, socket) => {
        socket.on('error', () => socket.destroy());
        socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`);
      });
    }
    expect(await exchangeRaw(door.port, ASK, 2000)).toMatch(/^HTTP\/1\.1 502 /);
    expect(door.nodes.live()).toHaveLength(3);
  });

  it('early bytes of a client, however small their pieces, are all passed on', async () => {
    const door = await openDoor();
    let answer: () => void = () => undefined;
    let seen = '';
    door.agents[0]!.server.on('upgrade', (_request, socket, head) => {
      socket.on('error', () => socket.destroy());
      seen += String(head);
      socket.on('data', (chunk) => {
        seen += String(chunk);
      });
      answer = () => void socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    });
    const client = await connected(door.port);
    client.setNoDelay(true);
    client.write(`${ASK}start`);
    await expect.poll(() => door.nodes.live()[0]!.load).toBe(1);
    for (let i = 0; i < 500; i++) await new Promise((resolve) => client.write(String(i % 10), resolve));
    answer();
    await expect.poll(() => client.received()).toContain('101');
    await expect.poll(() => seen).toBe(`start${'0123456789'.repeat(50)}`);
  });

  it('goes on to the next node where one refuses or is gone', async () => {
    const door = await openDoor({ agents: 3 });
    const [home, next] = door.inOrder();
    for (const { server } of [home!, next!])
      server.on(
        'upgrade',
        (_request, socket) =>
          void socket.end('HTTP/1.1 503 No\r\nx-kiln-error: no_capacity\r\nx-kiln-not-executed: 1\r\nContent-Length: 2\r\n\r\n{}'),
      );
    const [, , last] = door.inOrder();
    last!.server.on('upgrade', (_request, socket) => {
      socket.on('error', () => socket.destroy());
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello');
    });
    await home!.stop();
    const client = await connected(door.port);
    client.write(ASK);
    await expect.poll(() => client.received()).toMatch(/^HTTP\/1\.1 101 [\s\S]*hello$/);
    client.destroy();
    await expect.poll(() => door.records[0]?.attempts, { timeout: 3000 }).toBe(3);
  });

  it('that no node takes is refused as any request', async () => {
    const door = await openDoor({ agents: 2, answer: refuseWith(429, 'concurrency_limit', 'full') });
    expect(await exchangeRaw(door.port, ASK)).toMatch(
      /^HTTP\/1\.1 429 Too Many Requests\r\n[\s\S]*x-kiln-error: concurrency_limit[\s\S]*Retry-After: 1/,
    );
    expect(await exchangeRaw(door.port, ASK.replace('hello', 'nobody'))).toMatch(/^HTTP\/1\.1 404 [\s\S]*function_not_found/);
    expect(await exchangeRaw(door.port, ASK.replace('/fn/hello/chat', '/chat'))).toMatch(/^HTTP\/1\.1 404 [\s\S]*not_found/);
    expect(await exchangeRaw(door.port, ASK.replace('Host: localhost', 'Host: a\r\nHost: b'))).toMatch(/^HTTP\/1\.1 400 /);
    expect(await exchangeRaw(door.port, ASK.replace('Connection', 'Content-Length: 3\r\nConnection'))).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('to anything but a WebSocket is an ordinary request', async () => {
    const door = await openDoor();
    const answer = await exchangeRaw(door.port, ASK.replace('websocket', 'h2c'));
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).not.toMatch(/"upgrade"/i);
  });

  it('is cut when the router has drained for long enough', async () => {
    const door = await openDoor();
    switching(door, () => undefined);
    const client = await connected(door.port);
    client.write(ASK);
    await expect.poll(() => client.received()).toContain('101');
    await door.listener.drain(500);
    await expect.poll(() => client.closed).toBe(true);
  });

  it('of a client that ends its side before the answer leaves no half-open connection behind', async () => {
    const door = await openDoor();
    const asked: unknown[] = [];
    for (const { server } of door.agents) {
      server.on('upgrade', (request, socket) => {
        asked.push(request);
        socket.on('error', () => socket.destroy());
      });
    }
    const client = await connected(door.port);
    const closed = new Promise((resolve) => client.once('close', resolve));
    client.write(ASK);
    await expect.poll(() => asked.length).toBe(1);
    client.end();
    await closed;
    await expect.poll(() => door.records).toMatchObject([{ end: 'client_gone' }]);
  });

  it('of a client that leaves before the answer is given up', async () => {
    const door = await openDoor();
    let closed = false;
    door.agents[0]!.server.on('upgrade', (_request, socket) => {
      socket.resume();
      socket
        .on('error', () => undefined)
        .on('end', () => {
          closed = true;
        });
    });
    const client = await connected(door.port);
    client.write(ASK);
    await expect.poll(() => door.nodes.live()[0]!.load).toBe(1);
    client.destroy();
    await expect.poll(() => closed).toBe(true);
    await expect.poll(() => door.records).toMatchObject([{ end: 'client_gone' }]);
  });
});
