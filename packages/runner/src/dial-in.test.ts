import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RunnerDialIn } from './dial-in.js';

let folder: string;
let socketPath: string;
let agent: net.Server;
let sockets: net.Socket[];
let server: http.Server;
let answers: http.ServerResponse[];
let said: string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-dial-in-'));
  socketPath = join(folder, 'agent.sock');
  sockets = [];
  answers = [];
  said = [];
  agent = net.createServer((socket) => sockets.push(socket.on('error', () => undefined))).listen(socketPath);
  await once(agent, 'listening');
  server = http.createServer((_request, response) => answers.push(response));
});
afterEach(() => {
  agent.close();
  for (const socket of sockets) socket.destroy();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

function dialIn(concurrency: number, onUnreachable: () => void = () => undefined): void {
  new RunnerDialIn(server, { socketPath, concurrency, onUnreachable, workEnd: { report: (number) => said.push(number) } }).start();
}

const open = () => sockets.filter((socket) => !socket.destroyed);
const request = (socket: net.Socket | undefined) => socket?.write('GET / HTTP/1.1\r\nhost: h\r\n\r\n');
const expectOpen = (count: number) => vi.waitFor(() => expect(open()).toHaveLength(count), 10_000);
const expectBusy = (count: number) => vi.waitFor(() => expect(answers).toHaveLength(count), 10_000);

describe('DialIn', () => {
  it('opens one connection, and serves one request after another on it', async () => {
    dialIn(1);
    await expectOpen(1);
    const [socket] = sockets;
    for (const count of [1, 2]) {
      request(socket);
      await expectBusy(count);
      const answered = once(socket!, 'data');
      answers[count - 1]?.end('ok');
      expect(String(await answered)).toContain('ok');
    }
    expect(sockets).toHaveLength(1);
  });

  it('keeps one more than the busy ones, and never more than its concurrency', async () => {
    dialIn(3);
    await expectOpen(1);
    request(sockets[0]);
    await expectOpen(2);
    request(sockets[1]);
    await expectOpen(3);
    request(sockets[2]);
    await expectBusy(3);
    expect(open()).toHaveLength(3);
  });

  it('replaces a connection that ends, also under a request', async () => {
    dialIn(1);
    await expectOpen(1);
    request(sockets[0]);
    await expectBusy(1);
    sockets[0]?.destroy();
    await vi.waitFor(() => expect(sockets).toHaveLength(2), 10_000);
    request(sockets[1]);
    await expectBusy(2);
  });

  it('comes back to an agent that was away for a moment', async () => {
    const unreachable = vi.fn();
    dialIn(1, unreachable);
    await expectOpen(1);
    agent.close();
    sockets[0]?.destroy();
    await once(agent, 'close');
    agent.listen(socketPath);
    await vi.waitFor(() => expect(open()).toHaveLength(1), 3000);
    expect(unreachable).not.toHaveBeenCalled();
  });

  it('gives up after 5 s without the agent', async () => {
    const unreachable = vi.fn();
    agent.close();
    await once(agent, 'close');
    const since = performance.now();
    dialIn(1, unreachable);
    await vi.waitFor(() => expect(unreachable).toHaveBeenCalled(), 10_000);
    expect(performance.now() - since).toBeGreaterThanOrEqual(4900);
  });
});
