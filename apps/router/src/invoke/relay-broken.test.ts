import { describe, expect, it } from 'vitest';
import { connected, get, openDoor, text } from './door.fixture.js';

describe('ends that are not clean', () => {
  it('a client that leaves ends the work behind it', async () => {
    let closed = 0;
    const door = await openDoor({
      answer: (request, response) => {
        response.on('close', () => closed++);
        if (request.url === '/streaming') response.write('begun');
      },
    });
    for (const path of ['/silent', '/streaming']) {
      const client = await connected(door.port);
      client.write(`GET /fn/hello${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      await expect.poll(() => door.agents[0]!.requests.some(({ url }) => url === path)).toBe(true);
      client.destroy();
    }
    await expect.poll(() => closed).toBe(2);
    await expect.poll(() => door.records.map(({ end }) => end)).toEqual(['client_gone', 'client_gone']);
    expect(door.nodes.live()[0]!.load).toBe(0);
  });

  it('a client that ends its side behind its request gets the answer, and then the connection is closed', async () => {
    const door = await openDoor({ answer: (_request, response) => setTimeout(() => response.end('late but whole'), 100) });
    const client = await connected(door.port);
    client.allowHalfOpen = true;
    client.end('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect.poll(() => client.readableEnded).toBe(true);
    expect(client.received()).toMatch(/^HTTP\/1\.1 200 [\s\S]*late but whole/);
    await expect.poll(() => door.records).toMatchObject([{ end: 'answered' }]);
  });

  it('a client that resets its connection ends the work behind it at once', async () => {
    let closed = false;
    const door = await openDoor({ answer: (_request, response) => response.on('close', () => (closed = true)) });
    const client = await connected(door.port);
    client.write('GET /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await expect.poll(() => door.agents[0]!.requests.length).toBe(1);
    client.resetAndDestroy();
    // Well within the time that a client has which has only ended its side.
    await expect.poll(() => closed, { timeout: 700 }).toBe(true);
  });

  it('a client that leaves in the middle of its body ends it too, and the node never sees a whole body', async () => {
    let whole = false;
    let closed = false;
    const door = await openDoor({
      answer: (request, response) => {
        response.writeProcessing();
        request.on('error', () => undefined).resume();
        request.on('end', () => {
          whole = true;
        });
        response.on('close', () => {
          closed = true;
        });
      },
    });
    const client = await connected(door.port);
    client.write(`POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n${'a'.repeat(100_000)}`);
    await expect.poll(() => door.agents[0]!.requests.length).toBe(1);
    client.destroy();
    await expect.poll(() => closed).toBe(true);
    expect(whole).toBe(false);
  });

  it.each(['HTTP/1.1', 'HTTP/1.0'])('a node that dies in the middle of its answer cuts the client off (%s)', async (version) => {
    const door = await openDoor({
      answer: (_request, response) => {
        response.write('half of it');
        setTimeout(() => response.socket?.destroy(), 50);
      },
    });
    const client = await connected(door.port);
    let reset = false;
    client.on('error', () => {
      reset = true;
    });
    client.write(`GET /fn/hello/ ${version}\r\nHost: localhost\r\n\r\n`);
    await expect.poll(() => client.closed).toBe(true);
    if (version === 'HTTP/1.1') expect(client.received()).toMatch(/half of it\r\n$/);
    else expect(reset).toBe(true);
    expect(door.records[0]).toMatchObject({ end: 'cut', status: 200 });
  });

  it.each([
    ['a head that is no HTTP', 'nonsense\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['an unasked switch', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
  ])('%s from a node is a 502', async (_what, bytes) => {
    const door = await openDoor({ answer: (request) => request.socket.end(bytes) });
    const response = await get(door, '/fn/hello/', { method: 'POST' });
    expect(response.statusCode).toBe(502);
    expect(JSON.parse(await text(response))).toMatchObject({ code: 'node_lost' });
  });
});
