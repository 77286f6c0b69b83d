import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { UnsendableError } from '../headers/headers.js';
import { ok, rawServer, reading, send, to } from './upstream.fixture.js';
import { SocketUpstream } from './upstream.js';

describe('a pool of connections', () => {
  it('gives a connection to the next request, and makes another only for one at the same time', async () => {
    const { port, sockets } = await rawServer((socket) => void setTimeout(() => socket.write(ok('hi')), 5));
    const upstream = to(port);
    for (let i = 0; i < 3; i++) expect(await send(upstream).done.promise).toBe('end');
    expect([sockets.length, upstream.connected]).toEqual([1, true]);
    await Promise.all([1, 2, 3].map(() => send(upstream).done.promise));
    expect(sockets.length).toBe(3);
  });

  it('closes an idle one in time, and earlier where the other side says that it will', async () => {
    let header = 'X: y';
    const { port, sockets } = await rawServer((socket) => void socket.write(ok('hi', header)));
    const upstream = to(port, { idleTimeout: 100 });
    await send(upstream).done.promise;
    await expect.poll(() => sockets[0]?.destroyed, { timeout: 3000 }).toBe(true);
    const patient = to(port);
    header = 'Keep-Alive: timeout=1';
    await send(patient).done.promise;
    await expect.poll(() => sockets[1]?.destroyed, { timeout: 3000 }).toBe(true);
    expect(patient.connected).toBe(false);
  });

  it('does not use one again on which more came than was asked for', async () => {
    let surplus = ok('fake');
    const { port, sockets } = await rawServer((socket) => void socket.write(ok('hi') + surplus));
    const upstream = to(port);
    const first = send(upstream);
    await first.done.promise;
    surplus = '';
    const second = send(upstream);
    await second.done.promise;
    expect([first.body, second.body, sockets.length]).toEqual(['hi', 'hi', 2]);
    sockets[1]!.write('unasked');
    await expect.poll(() => upstream.connected).toBe(false);
  });

  it('does not use one again whose exchange was given up, and lets what it says late touch nobody', async () => {
    const { port, sockets } = await rawServer((socket, text) => void (text.includes('/quick') && socket.write(ok('quick'))));
    const upstream = to(port);
    const slow = send(upstream);
    await expect.poll(() => sockets.length).toBe(1);
    slow.control?.abort(new Error('enough'));
    expect(await slow.done.promise).toEqual(new Error('enough'));
    const quick = send(upstream, { path: '/quick' });
    await quick.done.promise;
    expect([quick.body, sockets.length]).toEqual(['quick', 2]);
    slow.control?.pause();
    slow.control?.abort(new Error('late'));
    quick.control?.abort(new Error('late'));
    expect(upstream.connected).toBe(true);
  });

  it('sends once more what may run twice where a connection that served before breaks under it, and nothing else', async () => {
    const served = new Set<net.Socket>();
    const seen: string[] = [];
    const { port, sockets } = await rawServer((socket, text) => {
      seen.push(text.slice(0, text.indexOf(' ')));
      if (served.has(socket)) socket.destroy();
      else socket.write(ok('hi'));
      served.add(socket);
    });
    const upstream = to(port);
    await send(upstream).done.promise;
    const again = send(upstream, { method: 'PUT', headers: ['Content-Length', '2'], body: Buffer.from('ab') });
    expect(await again.done.promise).toBe('end');
    expect([again.body, seen, sockets.length]).toEqual(['hi', ['GET', 'PUT', 'PUT'], 2]);
    const once = send(upstream, { method: 'POST' });
    expect(await once.done.promise).toBeInstanceOf(Error);
    expect(seen).toEqual(['GET', 'PUT', 'PUT', 'POST']);
  });

  it('tells how the first try broke where there is nobody to try again with', async () => {
    const served = new Set<net.Socket>();
    const { port, server } = await rawServer((socket) => {
      if (!served.has(socket)) socket.write(ok('hi'));
      else {
        server.close();
        socket.destroy();
      }
      served.add(socket);
    });
    const upstream = to(port);
    await send(upstream).done.promise;
    const crashed = send(upstream);
    expect(await crashed.done.promise).toEqual(new Error('the other side closed the connection'));
    expect(crashed.control).toBeDefined();
  });

  it('is given up at once by its caller, second try or not', async () => {
    const { port, sockets } = await rawServer((socket, text) => void (text.includes('/first') && socket.write(ok('hi'))));
    const upstream = to(port);
    await send(upstream, { path: '/first' }).done.promise;
    const given = send(upstream);
    await expect.poll(() => given.control).toBeDefined();
    given.control?.abort(new Error('enough'));
    expect(await given.done.promise).toEqual(new Error('enough'));
    expect(sockets.length).toBe(1);
  });

  it('refuses what would be another request, before a connection is made', async () => {
    const { port, sockets } = await rawServer(() => undefined);
    const refused = send(to(port), { headers: ['X', 'a\r\nY: b'] });
    expect(await refused.done.promise).toBeInstanceOf(UnsendableError);
    expect([refused.control, sockets.length]).toEqual([undefined, 0]);
  });

  it('says that nothing was sent where no connection stands', async () => {
    const { port } = await rawServer(() => undefined);
    const upstream = to(port);
    upstream.destroy();
    const kept = send(upstream);
    expect(await kept.done.promise).toBeInstanceOf(Error);
    const nowhere = send(to(1));
    expect(await nowhere.done.promise).toMatchObject({ code: 'ECONNREFUSED' });
    expect([kept.control, nowhere.control]).toEqual([undefined, undefined]);
  });
});

describe('a request over a connection whose other side is gone at that very moment', () => {
  const bodies = { none: null, small: Buffer.from('ab'), large: Buffer.alloc(100_000) };
  it.each([
    ...Object.entries(bodies).map(([what, body]) => [what, () => ({ body })] as const),
    ['streamed, head first', () => ({ body: reading([Buffer.alloc(10)]), headFirst: true })] as const,
    ['streamed', () => ({ body: reading([Buffer.alloc(10)]) })] as const,
  ])('was provably not sent (body: %s)', async (_what, sending) => {
    const taken = Promise.withResolvers<net.Socket>();
    const server = net.createServer((socket) => taken.resolve(socket));
    const path = join(tmpdir(), `kiln-${process.pid}-${Math.random()}.sock`);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    onTestFinished(() => void server.close());
    const near = net.connect(path);
    const upstream = new SocketUpstream(await taken.promise);
    near.destroy();
    expect(upstream.connected).toBe(true);
    const kept = send(upstream, { method: 'POST', ...sending() });
    expect(await kept.done.promise).toBeInstanceOf(Error);
    expect([kept.sent, upstream.connected]).toEqual([false, false]);
  });

  it('counts as sent once a byte of it has left', async () => {
    const { port } = await rawServer((socket) => void socket.destroy());
    const kept = send(to(port), { method: 'POST' });
    expect(await kept.done.promise).toBeInstanceOf(Error);
    expect(kept.sent).toBe(true);
  });
});
