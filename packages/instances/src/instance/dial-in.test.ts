import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '@kiln/testing/until';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DialIn } from './dial-in.js';
import { openSocketRoot, SOCKET_NAME } from './socket-root.js';

const MOST_TRIES = 50_000;

let root: string;
let folder: string;
let dialIn: DialIn;
const clients: net.Socket[] = [];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'kiln-'));
  folder = join(root, 'i');
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  dialIn?.destroy();
  rmSync(root, { recursive: true, force: true });
});

/** Resolves when the connection stands; with false where nobody listens. */
async function connect(): Promise<net.Socket | undefined> {
  const client = net.connect(join(folder, SOCKET_NAME)).on('error', () => undefined);
  clients.push(client);
  const stands = await new Promise<boolean>((resolve) => {
    client.once('connect', () => resolve(true)).once('close', () => resolve(false));
  });
  return stands ? client : undefined;
}

async function open(concurrency: number): Promise<string[]> {
  dialIn = await DialIn.open(folder, concurrency);
  const misuses: string[] = [];
  void dialIn.misused.then((reason) => misuses.push(reason));
  return misuses;
}

const holds = (expected: { open: number; idle: number }) =>
  until(`it holds ${JSON.stringify(expected)}`, () => JSON.stringify(dialIn.connections) === JSON.stringify(expected));

describe('connections of an instance', () => {
  it('that were closed are not kept', async () => {
    const misuses = await open(1);
    for (let i = 0; i < 100; i++) (await connect())?.destroy();
    await holds({ open: 0, idle: 0 });
    expect(misuses).toEqual([]);
    expect(await connect()).toBeDefined();
    await holds({ open: 1, idle: 1 });
  });

  it('that it opens and closes in a loop leave nothing behind, and end the listening', async () => {
    const misuses = await open(1);
    let tries = 0;
    for (let refused = 0; tries < MOST_TRIES && refused < 10; tries++) {
      const client = await connect();
      if (client === undefined) refused++;
      client?.destroy();
    }
    expect(tries).toBeLessThan(1000);
    await holds({ open: 0, idle: 0 });
    expect(misuses).toEqual([expect.stringMatching(/opened and closed connections/)]);
  });

  it('are refused beyond what it can need, and refusals count as well', async () => {
    const misuses = await open(1);
    for (let i = 0; i < 5; i++) await connect();
    await holds({ open: 5, idle: 5 });
    for (let i = 0; i < 300; i++) await connect();
    await until('it is known as misuse', () => misuses.length === 1);
    expect(dialIn.connections).toEqual({ open: 5, idle: 5 });
  });

  it('that are idle are few, whatever its concurrency', async () => {
    await open(10_000);
    for (let i = 0; i < 200; i++) await connect();
    await holds({ open: 64, idle: 64 });
  });

  it('end where it speaks first, and are not given to a request', async () => {
    await open(1);
    const client = await connect();
    client?.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    await once(client!, 'close');
    await holds({ open: 0, idle: 0 });
    const fresh = await connect();
    expect(await dialIn.take()).toMatchObject({ used: false });
    expect(fresh?.destroyed).toBe(false);
  });
});

describe('the sockets of a node', () => {
  it.each([
    ['made', () => undefined],
    ['there with a mode that let others in', () => mkdirSync(join(root, 'node'), { mode: 0o755 })],
  ])('are below a folder that is closed to other users: %s', async (_how, before) => {
    before();
    chmodSync(root, 0o755);
    const sockets = join(root, 'node');
    await openSocketRoot(sockets);
    folder = join(sockets, 'i');
    await open(1);
    expect(statSync(sockets).mode & 0o777).toBe(0o700);
    expect(statSync(folder).mode & 0o777).toBe(0o755);
  });

  it.skipIf(process.getuid?.() !== 0)('cannot be reached by another user of the machine', async () => {
    chmodSync(root, 0o755);
    await openSocketRoot(join(root, 'node'));
    folder = join(root, 'node', 'i');
    await open(1);
    const script = `import socket; socket.socket(socket.AF_UNIX).connect(${JSON.stringify(join(folder, SOCKET_NAME))})`;
    const other = spawn('python3', ['-c', script], { uid: 65_534, gid: 65_534, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    other.stderr.on('data', (chunk: Buffer) => {
      said += String(chunk);
    });
    const [code] = await once(other, 'close');
    expect([code, said]).toEqual([1, expect.stringMatching(/PermissionError/)]);
  });
});
