import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ok, rawServer, reading, send, to } from './upstream.fixture.js';

describe('a streamed body', () => {
  it('goes out in chunks where its length is not known, its head at once where that is wanted', async () => {
    let seen = '';
    const { port } = await rawServer((socket, text) => {
      seen += text;
      if (seen.endsWith('0\r\n\r\n')) socket.write(ok('done'));
    });
    const body = new Readable({ read: () => undefined });
    const kept = send(to(port), { method: 'POST', body, headFirst: true });
    await expect.poll(() => seen).toMatch(/Transfer-Encoding: chunked\r\n\r\n$/);
    body.push('hello');
    await expect.poll(() => seen).toMatch(/\r\n\r\n5\r\nhello\r\n$/);
    body.push(null);
    expect(await kept.done.promise).toBe('end');
  });

  it('that came whole before it is sent goes with its length, although nobody had said that', async () => {
    let seen = '';
    const { port } = await rawServer((socket, text) => {
      seen += text;
      socket.write(ok('done'));
    });
    await send(to(port), { method: 'POST', body: Buffer.from('hello') }).done.promise;
    expect(seen).toMatch(/\r\nContent-Length: 5\r\n\r\nhello$/);
  });

  it('goes no faster than the other side reads it', async () => {
    let made = 0;
    const body = reading(
      (function* () {
        for (; made < 4000; made++) yield Buffer.alloc(64 * 1024);
      })(),
    );
    const { port, sockets } = await rawServer((socket) => void socket.pause());
    const kept = send(to(port), { method: 'POST', body, headFirst: true });
    await expect.poll(() => sockets.length).toBe(1);
    let before = -1;
    while (made !== before) {
      before = made;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(made).toBeLessThan(1000);
    kept.control?.abort(new Error('enough'));
    expect(body.destroyed).toBe(true);
  });

  it('is dropped where the answer is whole before it was sent, and its connection with it', async () => {
    const { port } = await rawServer((socket) => void socket.write(ok('no, thanks')));
    const body = new Readable({ read: () => undefined });
    const upstream = to(port);
    const kept = send(upstream, { method: 'POST', body, headFirst: true });
    expect(await kept.done.promise).toBe('end');
    expect([kept.body, body.destroyed, upstream.connected]).toEqual(['no, thanks', true, false]);
  });

  /** A server that answers the head, closes with the body unread, and a body that goes on after that. */
  async function slammed(answer: string, headFirst: boolean) {
    const { port } = await rawServer((socket) => {
      socket.pause();
      socket.write(answer, () => {
        socket.resetAndDestroy();
        for (let i = 0; i < 8; i++) body.push(Buffer.alloc(1000));
        body.push(null);
      });
    });
    const body = new Readable({ read: () => undefined });
    if (!headFirst) body.push('begun');
    const upstream = to(port);
    const kept = send(upstream, { method: 'POST', body, headFirst });
    return { kept, upstream, end: await kept.done.promise };
  }

  it.each([true, false])('gets an answer to its head although the other side has closed since (head first: %s)', async (headFirst) => {
    const { kept, upstream, end } = await slammed(ok('no entry'), headFirst);
    expect([end, kept.body, upstream.connected]).toEqual(['end', 'no entry', false]);
  });

  it.each([
    ['none', ''],
    ['a part of one', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno'],
    ['one whose end nobody knows', 'HTTP/1.1 200 OK\r\n\r\nno entry'],
  ])('fails where the other side closes and has answered: %s', async (_what, answer) => {
    const { kept, end } = await slammed(answer, true);
    expect(end).toBeInstanceOf(Error);
    expect(kept.sent).toBe(true);
  });

  it('that fails ends the exchange with its error', async () => {
    const { port } = await rawServer(() => undefined);
    const body = new Readable({ read: () => undefined });
    const kept = send(to(port), { method: 'POST', body, headFirst: true });
    await expect.poll(() => kept.control).toBeDefined();
    body.destroy(new Error('the disk is gone'));
    expect(await kept.done.promise).toEqual(new Error('the disk is gone'));
    const early = new Readable({ read: () => undefined });
    const cut = send(to(port), { method: 'POST', body: early, headFirst: true });
    early.destroy();
    expect(await cut.done.promise).toEqual(new Error('the request body ended early'));
  });
});
