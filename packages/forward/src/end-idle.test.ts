import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { endIdleConnections } from './end-idle.js';

const sockets: net.Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function started(handler: http.RequestListener): Promise<{ server: http.Server; connect(): Promise<net.Socket> }> {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, handler);
  endIdleConnections(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const connect = () =>
    new Promise<net.Socket>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(socket));
      sockets.push(socket);
    });
  return { server, connect };
}

describe('a stopping server', () => {
  it('ends although a connection never carried a request, and lets the one under way finish first', async () => {
    let finish: (() => void) | undefined;
    const { server, connect } = await started((_request, response) => {
      finish = () => response.end('done');
    });
    await connect();
    const busy = await connect();
    busy.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => finish).toBeDefined();
    let answer = '';
    busy.on('data', (chunk) => {
      answer += chunk;
    });
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await expect.poll(() => sockets[0]?.readyState).toBe('closed');
    expect(busy.readyState).toBe('open');
    finish?.();
    await closed;
    expect(answer).toContain('done');
  });
});
