import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'kiln-work-end-'));
const runner = join(folder, 'runner.mjs');
const instances: Instance[] = [];

// The bundle as images have it, not the sources.
beforeAll(() => void execFileSync(process.execPath, [join(import.meta.dirname, '../../build.mjs'), runner]));
afterEach(() => {
  for (const instance of instances.splice(0)) instance.end();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Waits until `probe` gives something that is true. */
function until<T>(what: string, probe: () => T | undefined, timeout = 20_000): Promise<T> {
  return vi.waitFor(
    () => {
      const value = probe();
      if (value === undefined || value === false) throw new Error(`not yet: ${what}`);
      return value;
    },
    { timeout, interval: 20 },
  );
}

let modules = 0;

/** The runner in a process, and the agent's end of its two sockets. */
class Instance {
  readonly connections: net.Socket[] = [];
  notices = '';
  output = '';
  /** Of the order in which connections came. */
  first: string | undefined;
  private readonly child: ChildProcess;
  private readonly servers: net.Server[];

  constructor(source: string, concurrency: number) {
    const own = join(folder, String(modules++));
    mkdirSync(own);
    writeFileSync(join(own, 'index.js'), source);
    const agent = net.createServer((socket) => {
      this.first ??= 'agent';
      this.connections.push(socket.on('error', () => undefined));
    });
    const work = net.createServer((socket) => {
      this.first ??= 'work';
      socket
        .on('error', () => undefined)
        .on('data', (data) => {
          this.notices += String(data);
        });
    });
    this.servers = [agent.listen(join(own, 'agent.sock')), work.listen(join(own, 'work.sock'))];
    const env = { KILN_SOCKET: join(own, 'agent.sock'), KILN_ENTRY: own, KILN_CONCURRENCY: String(concurrency) };
    this.child = spawn(process.execPath, [runner], {
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.child.stdout?.on('data', (data) => {
      this.output += String(data);
    });
    instances.push(this);
  }

  /** A request over the connection opened last. Resolves when its handler has begun. */
  async begin(number: number, headers = ''): Promise<net.Socket> {
    const socket = await until('a connection', () => this.connections.at(-1));
    socket.write(`GET / HTTP/1.1\r\nhost: h\r\nx-kiln-connection: ${number}\r\n${headers}\r\n`);
    await this.says('begun');
    return socket;
  }

  says(word: string): Promise<boolean> {
    return until(`it says ${word}`, () => this.output.includes(`"message":"${word}`));
  }

  end(): void {
    this.child.kill('SIGKILL');
    for (const server of this.servers) server.close();
    for (const socket of this.connections) socket.destroy();
  }
}

/** Functions that go on when their caller has left; each says `ended` as its last word. */
const WORKING: [string, string][] = [
  [
    'promise has not settled',
    'async (req, res) => { console.log("begun"); await new Promise((resolve) => res.once("close", resolve)); await new Promise((r) => setTimeout(r, 300)); console.log("ended"); }',
  ],
  [
    'promise has not settled, although it answered nobody meanwhile',
    'async (req, res) => { console.log("begun"); await new Promise((resolve) => res.once("close", resolve)); res.send("x"); await new Promise((r) => setTimeout(r, 300)); console.log("ended"); }',
  ],
  [
    'callback has not answered',
    '(req, res) => { console.log("begun"); setTimeout(() => { console.log("ended"); res.send("late"); }, 500); }',
  ],
  [
    'callback has not answered, in an Express app',
    'Object.assign((req, res) => { console.log("begun"); setTimeout(() => { console.log("ended"); res.end("late"); }, 500); }, { handle() {}, set() {} })',
  ],
  [
    'timer runs, although it answers nobody any more',
    '(req, res) => { console.log("begun"); setTimeout(() => console.log("ended"), 500); }',
  ],
];

describe('of a caller that leaves, the runner says that the work has ended', () => {
  it.each(WORKING)('not while its %s', async (_what, handler) => {
    const instance = new Instance(`module.exports = ${handler};`, 1);
    (await instance.begin(3)).destroy();
    await until('the end is told', () => instance.notices !== '');
    expect(instance.output).toContain('"message":"ended"');
    expect(instance.notices).toBe('ended 3\n');
    expect(instance.first).toBe('work');
  });

  it.each([
    [
      'stops a timer',
      '(req, res) => { console.log("begun"); const t = setInterval(() => {}, 10); req.on("close", () => clearInterval(t)); }',
      1,
    ],
    ['is a stream', '(req, res) => { console.log("begun"); require("fs").createReadStream("/dev/zero").pipe(res); }', 1],
    ['throws', 'async (req, res) => { console.log("begun"); await new Promise((r) => res.once("close", r)); throw new Error("x"); }', 1],
    ['runs several and only a callback could go on', '(req, res) => { console.log("begun"); setInterval(() => {}, 1000); }', 2],
  ])('soon where its handler %s', async (_what, handler, concurrency) => {
    const instance = new Instance(`module.exports = ${handler};`, concurrency);
    (await instance.begin(4)).destroy();
    await until('the end is told', () => instance.notices === 'ended 4\n', 5000);
  });

  it('of a WebSocket once its handler has settled', async () => {
    const source = `exports.default = (req, res) => res.end();
      exports.upgrade = async (req, socket) => {
        console.log("begun");
        await new Promise((resolve) => socket.once("close", resolve));
        await new Promise((resolve) => setTimeout(resolve, 300));
        console.log("ended");
      };
      exports.__esModule = true;`;
    const instance = new Instance(source, 1);
    (await instance.begin(5, 'connection: upgrade\r\nupgrade: websocket\r\n')).destroy();
    await until('the end is told', () => instance.notices === 'ended 5\n');
    expect(instance.output).toContain('"message":"ended"');
  });

  it('with the number of the first request, which no function sees', async () => {
    const instance = new Instance(
      'module.exports = (req, res) => { console.log("begun" + JSON.stringify([req.headers, req.rawHeaders])); res.end("ok"); };',
      1,
    );
    const socket = await instance.begin(6);
    await until('the answer', () => socket.bytesRead > 0 || socket.read() !== null);
    socket.write('GET / HTTP/1.1\r\nhost: h\r\n\r\n');
    await until('the second', () => instance.output.split('begun').length === 3);
    socket.destroy();
    await until('the end is told', () => instance.notices === 'ended 6\n');
    expect(instance.output).not.toContain('kiln-connection');
  });
});
