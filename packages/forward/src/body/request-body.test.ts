import http, { type IncomingMessage } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bodyOf } from '../server/http-server.js';
import { StreamedBody } from './request-body.js';

/** A request whose head has come; its body is what the test writes. */
async function arriving(headers: string): Promise<{ message: IncomingMessage; client: Socket }> {
  const server = http.createServer();
  const message = new Promise<IncomingMessage>((resolve) => server.once('request', resolve));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.on('error', () => client.destroy());
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
    client.destroy();
  });
  client.write(`POST / HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n`);
  return { message: await message, client };
}

const sized = (length: number) => arriving(`Content-Length: ${length}`);
const read = (source: Buffer | Readable | null): { bytes: () => number; ended: () => boolean } => {
  let bytes = 0;
  let ended = false;
  if (!(source instanceof Readable)) throw new Error('not a stream');
  source.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  source.on('end', () => {
    ended = true;
  });
  source.on('error', () => undefined);
  return { bytes: () => bytes, ended: () => ended };
};

describe('RequestBody', () => {
  it('knows the declared length, and that there may be none', async () => {
    expect(bodyOf((await sized(5)).message, 100).length).toBe(5);
    expect(bodyOf((await arriving('Transfer-Encoding: chunked')).message, 100).length).toBeUndefined();
    const none = bodyOf((await arriving('X: y')).message, 100);
    expect([none.length, none.source(), none.whole]).toEqual([0, null, true]);
  });

  it('is read from whatever gives bytes, as from a server’s message', async () => {
    const source = new PassThrough();
    const body = new StreamedBody(source, undefined, 100, (sender) => sender.destroy());
    const { bytes, ended } = read(body.source());
    source.end('hello');
    await expect.poll(ended).toBe(true);
    expect([bytes(), body.bytes, body.whole, String(body.source())]).toEqual([5, 5, true, 'hello']);
    const unwanted = new StreamedBody(new PassThrough(), 3, 100, (sender) => sender.destroy());
    expect(await unwanted.readWhole(10)).toBe('slow');
  });

  it('reads a small body whole, and gives it out again and again', async () => {
    const { message, client } = await sized(5);
    const body = bodyOf(message, 100);
    client.write('he');
    setTimeout(() => client.write('llo'), 20);
    expect(await body.readWhole(1000)).toBeUndefined();
    expect(body.whole).toBe(true);
    expect(String(body.source())).toBe('hello');
    expect(String(body.source())).toBe('hello');
  });

  it('gives a body up that does not come in time, or whose sender leaves', async () => {
    const slow = await sized(5);
    expect(await bodyOf(slow.message, 100).readWhole(50)).toBe('slow');
    const gone = await sized(5);
    const body = bodyOf(gone.message, 100);
    setTimeout(() => gone.client.destroy(), 20);
    expect(await body.readWhole(1000)).toBe('gone');
    expect(body.replayable).toBe(false);
  });

  it('holds back after 64 KiB, can be sent again from its start, and streams once it is accepted', async () => {
    const size = 1_000_000;
    const { message, client } = await sized(size);
    client.write(Buffer.alloc(size));
    const body = bodyOf(message, size);
    const first = body.source() as Readable;
    const seen = read(first);
    await expect.poll(() => body.bytes).toBeGreaterThan(64 * 1024);
    expect(seen.bytes()).toBeLessThanOrEqual(64 * 1024);
    expect(body.replayable).toBe(true);
    expect(body.whole).toBe(false);
    first.destroy();
    const again = read(body.source());
    body.accepted();
    await expect.poll(again.ended).toBe(true);
    expect(again.bytes()).toBe(size);
    expect(body.replayable).toBe(false);
  });

  it('counts what was not declared, and stops at maxBody', async () => {
    const { message, client } = await arriving('Transfer-Encoding: chunked');
    const body = bodyOf(message, 10);
    const seen = read(body.source());
    client.write('8\r\nabcdefgh\r\n');
    await expect.poll(seen.bytes).toBe(8);
    client.write('8\r\nabcdefgh\r\n');
    await expect.poll(() => body.fault).toBe('too_large');
    expect(seen.bytes()).toBe(8);
  });

  it('ends with a fault, never as if it were whole, when the sender leaves', async () => {
    const { message, client } = await sized(100);
    const body = bodyOf(message, 100);
    body.accepted();
    const seen = read(body.source());
    client.write('abc');
    await expect.poll(seen.bytes).toBe(3);
    client.destroy();
    await expect.poll(() => body.fault).toBe('gone');
    expect(seen.ended()).toBe(false);
  });
});
