import net from 'node:net';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture } from '../support/inside.js';
import { sendRaw } from '../support/raw-socket.js';

const SLOW_CONNECTIONS = 500;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
  await cluster.deploy(fixture('echo'), { name: 'echo' });
});
afterAll(() => cluster?.stop());

const served = async () => (await cluster.call('/fn/echo/_/seen')).json<{ served: string[] }>().served;

const GET = 'GET /fn/echo/evil HTTP/1.1\r\n';
const POST = 'POST /fn/echo/evil HTTP/1.1\r\n';
const HOST = 'Host: localhost\r\n';

const AMBIGUOUS: [string, string][] = [
  ['two Host headers', `${GET}${HOST}Host: other\r\n\r\n`],
  ['two equal Host headers', `${GET}${HOST}${HOST}\r\n`],
  ['an empty Host header', `${GET}Host: \r\n\r\n`],
  ['no Host header', `${GET}\r\n`],
  ['a Host header with a path', `${GET}Host: localhost/x\r\n\r\n`],
  ['a Host header with a user', `${GET}Host: a:80@localhost\r\n\r\n`],
  ['both framings', `${POST}${HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['both framings the other way round', `${POST}${HOST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`],
  ['two lengths', `${POST}${HOST}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde`],
  ['a length with a sign', `${POST}${HOST}Content-Length: +4\r\n\r\nabcd`],
  ['a length in hex', `${POST}${HOST}Content-Length: 0x4\r\n\r\nabcd`],
  ['a list of lengths', `${POST}${HOST}Content-Length: 4, 4\r\n\r\nabcd`],
  ['gzip, chunked', `${POST}${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ['chunked, identity', `${POST}${HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
  ['xchunked', `${POST}${HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ['chunked twice', `${POST}${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['identity', `${POST}${HOST}Transfer-Encoding: identity\r\n\r\n`],
  ['chunked on HTTP/1.0', `POST /fn/echo/evil HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['an absolute-form target', `GET http://localhost/fn/echo/evil HTTP/1.1\r\n${HOST}\r\n`],
  ['an absolute-form target of another host', `GET http://other.example/fn/echo/evil HTTP/1.1\r\n${HOST}\r\n`],
  ['an authority-form target', `CONNECT localhost:80 HTTP/1.1\r\n${HOST}\r\n`],
  ['a target without a slash', `GET fn/echo/evil HTTP/1.1\r\n${HOST}\r\n`],
  ['bare LF line ends', `GET /fn/echo/evil HTTP/1.1\nHost: localhost\n\n`],
  ['a bare LF in a header', `${GET}${HOST}X-A: 1\nX-B: 2\r\n\r\n`],
  ['a bare CR in a header', `${GET}${HOST}X-A: 1\rX-B: 2\r\n\r\n`],
  ['a bare LF in a chunk', `${POST}${HOST}Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n`],
  ['a negative chunk size', `${POST}${HOST}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n`],
  ['a space before a colon', `${GET}${HOST}X-A : 1\r\n\r\n`],
  ['a space before the colon of a framing header', `${POST}${HOST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
  ['a folded header', `${GET}${HOST}X-A: 1\r\n 2\r\n\r\n`],
  ['a NUL in a header', `${GET}${HOST}X-A: a\0b\r\n\r\n`],
  ['a NUL in the target', `GET /fn/echo/evil\0 HTTP/1.1\r\n${HOST}\r\n`],
  ['a space in the target', `GET /fn/echo/evil x HTTP/1.1\r\n${HOST}\r\n`],
  ['HTTP/2.0 in the request line', `GET /fn/echo/evil HTTP/2.0\r\n${HOST}\r\n`],
  ['HTTP/0.9', 'GET /fn/echo/evil\r\n\r\n'],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03evil'],
  ['a 64 KiB header', `${GET}${HOST}X-Big: ${'x'.repeat(65_536)}\r\n\r\n`],
  ['a 40 KiB target', `GET /fn/echo/evil?${'x'.repeat(40_960)} HTTP/1.1\r\n${HOST}\r\n`],
  ['300 headers', `${GET}${HOST}${Array.from({ length: 300 }, (_, i) => `X-${i}: 1\r\n`).join('')}\r\n`],
];

describe('a request that two readers could read in two ways', () => {
  it.each(AMBIGUOUS)('is refused and never reaches a function: %s', async (what, bytes) => {
    const { status, text } = await sendRaw(cluster.router.ports.data, bytes);
    const allowed = /absolute-form|authority-form/.test(what) ? [400, 404, 405] : [400, 413, 431, 501, 505];
    expect(allowed, text.slice(0, 300)).toContain(status);
    expect(await served()).not.toContainEqual(expect.stringContaining('evil'));
  });

  it('ends its connection, so that nothing behind it is read as another request', async () => {
    const smuggled = `GET /fn/echo/evil-second HTTP/1.1\r\n${HOST}\r\n`;
    const both = `${POST}${HOST}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`;
    const { text } = await sendRaw(cluster.router.ports.data, both);
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(await served()).not.toContainEqual(expect.stringContaining('evil'));
  });

  it('is told apart from a good one with many headers', async () => {
    const { status } = await sendRaw(
      cluster.router.ports.data,
      `GET /fn/echo/good HTTP/1.1\r\n${HOST}Connection: close\r\n${Array.from({ length: 150 }, (_, i) => `X-${i}: 1\r\n`).join('')}\r\n`,
    );
    expect(status).toBe(200);
  });

  it.each(['..', '%2e%2e', 'a%2fb', 'a%00', 'UPPER', '-a', 'a_b', 'x'.repeat(64), '__proto__', 'constructor', '*', 'a%0d%0a', '%66n'])(
    'or names a function like %s gets 400 or 404',
    async (name) => {
      const { status } = await sendRaw(cluster.router.ports.data, `GET /fn/${name}/evil HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
      expect([400, 404]).toContain(status);
    },
  );
});

describe(`${SLOW_CONNECTIONS} connections that send a byte a second`, () => {
  it('slow nobody else down', async () => {
    const before = await medianOf(50);
    const head = Buffer.from(`${GET}${HOST}X-Slow: ${'a'.repeat(200)}`);
    const sockets = await Promise.all(Array.from({ length: SLOW_CONNECTIONS }, () => connected()));
    let sent = 0;
    const timer = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write(head.subarray(sent, sent + 1));
      sent += 1;
    }, 1000);
    try {
      const deadline = performance.now() + 3000;
      const rounds: number[] = [];
      while (performance.now() < deadline) rounds.push(await medianOf(50));
      const during = Math.max(...rounds);
      console.info(`slow connections: call median ${before.toFixed(1)} ms before, at most ${during.toFixed(1)} ms with them`);
      expect(during).toBeLessThan(Math.max(before * 5, 50));
    } finally {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
    }
  });

  it('with bodies hold no lease while they send', async () => {
    await cluster.deploy(fixture('echo'), { name: 'single', config: { concurrency: 1, maxInstances: 1 } });
    const sockets = await Promise.all(Array.from({ length: 20 }, () => connected()));
    try {
      for (const socket of sockets) socket.write(`POST /fn/single/_/count HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\nx`);
      const answer = await cluster.call('/fn/single/');
      expect(answer.status).toBe(200);
      expect(answer.ms).toBeLessThan(1000);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});

async function medianOf(calls: number): Promise<number> {
  const durations: number[] = [];
  for (let i = 0; i < calls; i += 1) {
    const answer = await cluster.call('/fn/echo/fast');
    if (answer.status !== 200) throw new Error(answer.text);
    durations.push(answer.ms);
  }
  return durations.sort((a, b) => a - b)[Math.floor(calls / 2)] as number;
}

function connected(): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(cluster.router.ports.data, '127.0.0.1', () => resolve(socket));
    socket.on('error', reject);
  });
}
