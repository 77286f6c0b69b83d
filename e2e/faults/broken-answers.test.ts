import { readFileSync } from 'node:fs';
import net from 'node:net';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture, instanceOf } from '../support/inside.js';
import { sendRaw } from '../support/raw-socket.js';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2 });
  await cluster.deploy(fixture('raw-answers'), { name: 'raw' });
  await cluster.deploy(fixture('echo'), { name: 'echo' });
});
afterAll(() => cluster?.stop());

/** Calls another function on and on while `action` runs, and gives back what it was answered. */
async function beside(action: () => Promise<unknown>): Promise<number[]> {
  const statuses: number[] = [];
  let running = true;
  const calls = (async () => {
    while (running) statuses.push((await cluster.call('/fn/echo/good')).status);
  })();
  await action();
  // What was held against a node would show in the calls after it.
  const from = statuses.length;
  while (statuses.length < from + 20) await new Promise((resolve) => setTimeout(resolve, 20));
  running = false;
  await calls;
  return statuses;
}

const handshake = (bytes: number) =>
  `GET /fn/raw/switch-${bytes} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`;

describe('a function whose answers break HTTP', () => {
  it.each([
    ['chunk', 'a chunk size is not hexadecimal'],
    ['status', 'status 700'],
    ['head', 'the head is larger than 65536 bytes'],
    ['noise', 'status line'],
  ])('is told so by the rule’s name, and takes no node out of use (%s)', async (path, rule) => {
    const statuses = await beside(async () => {
      for (let i = 0; i < 30; i += 1) {
        const answer = await cluster.call(`/fn/raw/${path}`);
        expect([answer.status, answer.headers['x-kiln-error']]).toEqual([502, 'bad_response']);
        expect(answer.json<{ detail: string }>().detail).toContain(rule);
      }
    });
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('is cut in the midst of its answer, and takes no node out of use', async () => {
    const statuses = await beside(async () => {
      for (let i = 0; i < 30; i += 1) {
        const answer = await cluster.call('/fn/raw/begun').catch(() => undefined);
        // A node that is slow to read finds the broken chunk beside the head, and can still say so.
        if (answer !== undefined) expect([answer.status, answer.headers['x-kiln-error']]).toEqual([502, 'bad_response']);
      }
    });
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('may frame its answer twice: one way goes on, and its instance lives', async () => {
    const first = await cluster.call('/fn/raw/plain');
    const both = await cluster.call('/fn/raw/both');
    const twice = await cluster.call('/fn/raw/twice');
    expect([both.status, both.text, both.headers['content-length']]).toEqual([200, 'hello\n', undefined]);
    expect([twice.status, twice.text, twice.headers['content-length']]).toEqual([200, 'hello\n', '6']);
    const last = await cluster.call('/fn/raw/plain');
    expect([first, both, twice, last].map(instanceOf)).toEqual(Array(4).fill(instanceOf(first)));
  });
});

describe('a handshake with a large head', () => {
  it('is answered like any request, and takes no node out of use', async () => {
    const sizes = Array.from({ length: 60 }, (_, i) => 15_700 + Math.round((i * 1000) / 59));
    const port = cluster.router.ports.data;
    const statuses = await beside(async () => {
      for (const bytes of [...sizes, 64_000]) {
        const answer = await switched(port, handshake(bytes));
        expect(answer).toMatch(/^HTTP\/1\.1 101 [\s\S]*\r\n\r\nswitched$/);
      }
      for (let i = 0; i < 10; i += 1) {
        const { status, text } = await sendRaw(port, handshake(70_000));
        expect([status, /"code":"(\w+)"/.exec(text)?.[1]]).toEqual([502, 'bad_response']);
      }
    });
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});

describe('uploads that follow one another', () => {
  it('leave no connection behind each', async () => {
    const body = 'x'.repeat(200_000);
    const open = () => cluster.agents.reduce((sum, { ports }) => sum + established(ports.data), 0);
    const before = open();
    for (let i = 0; i < 40; i += 1) expect((await cluster.call('/fn/echo/_/length', { method: 'POST', body })).status).toBe(200);
    expect(open() - before).toBeLessThan(5);
  });
});

/** What came on a connection up to the first bytes behind the switch. */
function switched(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.endsWith('switched')) socket.destroy();
    });
    socket.setTimeout(20_000, () => socket.destroy());
    socket.on('error', reject).on('close', () => resolve(text));
  });
}

/** Connections to a port of this machine, as the kernel lists those of the side that listens. */
function established(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => readFileSync(file, 'utf8').split('\n'));
  return lines.map((line) => line.trim().split(/\s+/)).filter(([, address, , state]) => address?.endsWith(local) && state === '01').length;
}
