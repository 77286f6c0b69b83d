import { readFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { call } from '@kiln/testing/call';
import { type Cluster, type Member, startCluster } from '@kiln/testing/cluster';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fixture, inside, times } from '../support/inside.js';
import { clientGoesFirst } from './client-goes-first.js';

/** The promise with KILN_E2E_FULL=1. Otherwise shorter and gentler, for machines that do other things besides. */
const FULL = process.env['KILN_E2E_FULL'] === '1';
const RUN_MS = FULL ? 600_000 : 15_000;
const CALLS_PER_S = FULL ? 200 : 50;
const ALLOWED_MS = FULL ? 1000 : 5000;
const ALLOWED_MIB = 250;
const BYSTANDERS = ['one', 'two', 'three'];

let cluster: Cluster;
const over = new AbortController();
let asBefore: () => void;

beforeAll(async () => {
  asBefore = clientGoesFirst();
  cluster = await startCluster({ nodes: 1, env: { KILN_NODE_CPUS: '64' } });
  const { image } = await cluster.deploy(fixture('evaluate'), { name: 'one', config: { concurrency: 10, memory: 128 } });
  for (const name of [...BYSTANDERS.slice(1), 'sure']) await cluster.addVersion(name, image, { concurrency: 10, memory: 128 });
  const hostile = { memory: 128, timeout: 900_000, maxInstances: 1 };
  for (const name of ['dials', 'forks', 'floods']) await cluster.addVersion(name, image, hostile);
  await cluster.addVersion('sends', image, { ...hostile, concurrency: 10, timeout: 5000 });
  await cluster.deploy(fixture('raw-answers'), { name: 'raw', config: { timeout: 5000 } });
  const env = { LISTENS_UNTIL: String(Date.now() + 20_000) };
  await cluster.deploy(fixture('deaf'), { name: 'deaf', config: { env, idleTimeout: 1000, startTimeout: 20_000, concurrency: 1 } });
}, 240_000);
afterAll(async () => {
  asBefore?.();
  await cluster?.stop();
});

/** Does one thing after the other until the test is over, whatever becomes of it. */
async function onAndOn(action: () => Promise<unknown>, pauseMs: number): Promise<void> {
  while (!over.signal.aborted) {
    await action().catch(() => undefined);
    await delay(pauseMs, undefined, { signal: over.signal }).catch(() => undefined);
  }
}

const DIALS = `const net = require('node:net');
const dial = () => { const socket = net.connect(process.env.KILN_SOCKET); socket.on('connect', () => socket.destroy()); socket.on('error', () => {}); socket.on('close', () => setImmediate(dial)); };
for (let i = 0; i < 4; i++) dial();`;
const FORKS = `const { spawn } = require('node:child_process');
setInterval(() => { for (let i = 0; i < 50; i++) spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']).on('error', () => {}); }, 100);`;
const FLOODS = "setInterval(() => { for (let i = 0; i < 500; i++) console.log('flood '.repeat(40)); }, 1);";
const SENDS = 'res.end(Buffer.alloc(64 * 1024 * 1024));';

const handshake = (bytes: number) =>
  `GET /fn/raw/switch-${bytes} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`;

const sockets = new Set<net.Socket>();

/** Sends bytes and reads nothing of what comes; ends when the other side does, or after a while. */
function unread(port: number, bytes: string, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    sockets.add(socket);
    const timer = setTimeout(() => socket.destroy(), ms);
    socket.pause().on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(timer);
      sockets.delete(socket);
      resolve();
    });
  });
}

function hostiles({ ports: { data } }: Member): Promise<unknown>[] {
  const readNothing = `POST /fn/sends/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: ${SENDS.length}\r\n\r\n${SENDS}`;
  return [
    onAndOn(() => inside(cluster, 'dials', DIALS, { signal: over.signal }), 1000),
    onAndOn(() => inside(cluster, 'forks', FORKS, { signal: over.signal }), 1000),
    onAndOn(() => inside(cluster, 'floods', FLOODS, { signal: over.signal }), 1000),
    ...[15_700, 16_700, 65_000, 70_000].map((bytes) => onAndOn(() => unread(data, handshake(bytes), 50), 10)),
    onAndOn(() => call(data, '/fn/raw/chunk', { signal: over.signal }), 10),
    onAndOn(() => call(data, '/fn/raw/drip', { timeoutMs: 10_000, signal: over.signal }), 10),
    ...Array.from({ length: 3 }, () => onAndOn(() => unread(data, readNothing, 20_000), 100)),
    ...Array.from({ length: 4 }, () => onAndOn(() => call(data, '/fn/deaf/', { timeoutMs: 30_000, signal: over.signal }), 100)),
  ];
}

interface BystanderCalls {
  calls: number;
  failures: string[];
  slowest: number;
  /** s after the first call. */
  slowestAt: number;
}

/** Calls of other functions at an even rate, each on a connection of its own. */
async function bystanders(port: number): Promise<BystanderCalls> {
  const seen: BystanderCalls = { calls: 0, failures: [], slowest: 0, slowestAt: 0 };
  const under = new Set<Promise<void>>();
  const every = 1000 / CALLS_PER_S;
  const began = performance.now();
  for (let i = 0; performance.now() - began < RUN_MS; i += 1) {
    const name = BYSTANDERS[i % BYSTANDERS.length] as string;
    const one = call(port, `/fn/${name}/?code=return+1`)
      .then(({ status, text, ms }) => {
        seen.calls += 1;
        if (ms > seen.slowest) seen.slowestAt = Math.round((performance.now() - began - ms) / 1000);
        seen.slowest = Math.max(seen.slowest, ms);
        if (status !== 200) seen.failures.push(`${status} ${text.slice(0, 200)}`);
      })
      .catch((error: Error) => void seen.failures.push(error.message));
    under.add(one);
    void one.then(() => under.delete(one));
    const wait = began + (i + 1) * every - performance.now();
    if (wait > 0) await delay(wait);
  }
  await Promise.all(under);
  return seen;
}

function residentMib({ program }: Member): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${program.pid}/status`, 'utf8'))?.[1]) / 1024;
}

it(
  'functions that mean harm fail no call of the others on their node, and grow neither router nor agent',
  async () => {
    const { router } = cluster;
    const agent = cluster.agents[0] as Member;
    for (const name of [...BYSTANDERS, 'deaf']) expect((await cluster.call(`/fn/${name}/?code=return+1`)).status).toBe(200);
    const running = hostiles(router);
    const seen = await bystanders(router.ports.data);
    over.abort();
    for (const socket of sockets) socket.destroy();
    const [routerMib, agentMib] = [residentMib(router), residentMib(agent)];
    console.info(
      `${seen.calls} calls beside hostile functions: ${seen.failures.length} failed, slowest ${seen.slowest.toFixed(0)} ms, sent after ${seen.slowestAt} s; router ${routerMib.toFixed(0)} MiB, agent ${agentMib.toFixed(0)} MiB`,
    );
    expect(seen.failures.slice(0, 5)).toEqual([]);
    expect(seen.slowest).toBeLessThan(ALLOWED_MS);
    expect(Math.max(routerMib, agentMib)).toBeLessThan(ALLOWED_MIB);
    // A first call of a function that nobody has called yet starts all the same.
    expect((await cluster.call('/fn/sure/?code=return+1')).status).toBe(200);
    await times(running.length, (i) => running[i] as Promise<unknown>);
  },
  RUN_MS + 90_000,
);
