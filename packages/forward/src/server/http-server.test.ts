import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { endIdleConnections, limitConnections } from './http-server.js';

const sockets: net.Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function started(handler: http.RequestListener, max = 100): Promise<{ server: http.Server; connect(): Promise<net.Socket> }> {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, handler);
  endIdleConnections(server);
  limitConnections(server, max);
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
    await expect.poll(() => answer).toContain('done');
  });
});

describe('a full server', () => {
  const HALF = 'GET / HTTP/1.1\r\nHost: x\r\n';
  const closed = () => sockets.filter(({ readyState }) => readyState === 'closed').length;

  it('takes a call although somebody holds all its connections with half-sent heads', async () => {
    const { connect } = await started((_request, response) => response.end('here'), 5);
    for (let i = 0; i < 20; i++) (await connect()).write(HALF);
    await expect.poll(closed).toBe(15);
    const caller = await connect();
    let answer = '';
    caller.on('data', (chunk) => {
      answer += chunk;
    });
    caller.write(`${HALF}\r\n`);
    await expect.poll(() => answer).toContain('here');
  });

  it('ends an idle connection for a new one, and never one whose request runs', async () => {
    const ends: (() => void)[] = [];
    const { connect } = await started((_request, response) => ends.push(() => response.end('late')), 3);
    const busy = await Promise.all([connect(), connect()]);
    for (const socket of busy) socket.write(`${HALF}\r\n`);
    await expect.poll(() => ends.length).toBe(2);
    const idle = await connect();
    const next = await connect();
    await expect.poll(() => idle.readyState).toBe('closed');
    next.write(`${HALF}\r\n`);
    await expect.poll(() => ends.length).toBe(3);
    const refused = await connect();
    await expect.poll(() => refused.readyState).toBe('closed');
    expect(busy.map(({ readyState }) => readyState)).toEqual(['open', 'open']);
    for (const end of ends) end();
  });

  it('keeps a connection whose first request is answered while a second one, sent with it, still runs', async () => {
    const ends: (() => void)[] = [];
    const { connect } = await started((_request, response) => ends.push(() => response.end('late')), 1);
    const busy = await connect();
    let answers = '';
    busy.on('data', (chunk) => {
      answers += chunk;
    });
    busy.write(`${HALF}\r\n${HALF}\r\n`);
    await expect.poll(() => ends.length).toBe(2);
    ends[0]?.();
    await expect.poll(() => answers).toContain('late');
    const refused = await connect();
    await expect.poll(() => refused.readyState).toBe('closed');
    ends[1]?.();
    await expect.poll(() => answers.split('late').length).toBe(3);
  });
});
