import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'kiln-runner-'));
const runner = join(folder, 'runner.mjs');
const children: ChildProcessWithoutNullStreams[] = [];
const agents: Agent[] = [];

// The bundle as images have it, not the sources.
beforeAll(() => void execFileSync(process.execPath, [join(import.meta.dirname, '../build.mjs'), runner]));
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const agent of agents.splice(0)) agent.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

let modules = 0;
function moduleOf(source: string, name = 'index.js'): string {
  const path = join(folder, `module-${modules++}`);
  mkdirSync(path);
  writeFileSync(join(path, name), source);
  return path;
}

interface Run {
  child: ChildProcessWithoutNullStreams;
  stdout: string;
  stderr: string;
  exit: Promise<[number | null, string | null]>;
}

function run(args: string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [runner, ...args], { env: { PATH: process.env['PATH'] ?? '', ...env } });
  children.push(child);
  const result: Run = { child, stdout: '', stderr: '', exit: once(child, 'close') as Run['exit'] };
  child.stdout.on('data', (data) => {
    result.stdout += data;
  });
  child.stderr.on('data', (data) => {
    result.stderr += data;
  });
  return result;
}

interface Agent {
  path: string;
  connections: net.Socket[];
  /** Keeps connections, as the agent does. */
  http: http.Agent;
  close(): void;
}

function agent(): Agent {
  const path = join(folder, `agent-${modules++}.sock`);
  const connections: net.Socket[] = [];
  const server = net.createServer((socket) => connections.push(socket.on('error', () => undefined))).listen(path);
  const close = () => {
    server.close();
    for (const socket of connections) socket.destroy();
  };
  const client = new http.Agent({ keepAlive: true });
  client.createConnection = () => connections.at(-1) as net.Socket;
  agents.push({ path, connections, close, http: client });
  return agents.at(-1) as Agent;
}

const instance = (to: Agent, source: string, env: Record<string, string> = {}) =>
  run([], { KILN_SOCKET: to.path, KILN_ENTRY: moduleOf(source), ...env });
const lines = ({ stdout }: Run) =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

async function call(to: Agent, requestId = 'r-1'): Promise<{ status: number; text: string }> {
  await vi.waitFor(() => expect(to.connections.length).toBeGreaterThan(0), 20_000);
  const request = http.request({
    agent: to.http,
    headers: { host: 'h', 'x-request-id': requestId },
  });
  request.end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode ?? 0, text };
}

describe('an instance', () => {
  it('connects once its module is loaded, and answers', async () => {
    const to = agent();
    instance(to, 'const count = { n: 0 }; module.exports = (req, res) => res.send("call " + ++count.n);');
    expect([await call(to), await call(to)].map(({ text }) => text)).toEqual(['call 1', 'call 2']);
  });

  it('writes console lines with their level and the request they belong to', async () => {
    const to = agent();
    const source = `
      console.log('loading');
      module.exports = async (req, res) => {
        console.log('said %s', 'so', { a: 1 });
        await null;
        setImmediate(() => { console.warn('careful\\nnow'); console.error(new Error('bad')); console.debug('d'); console.table([]); res.send('x'); });
        await new Promise((resolve) => res.once('finish', resolve));
      };`;
    const running = instance(to, source);
    await call(to, 'r-7');
    await vi.waitFor(() => expect(lines(running)).toHaveLength(6), 10_000);
    const [loading, said, warn, error, debug] = lines(running);
    expect(loading).toEqual({ kiln: 1, level: 'info', message: 'loading' });
    expect(said).toEqual({ kiln: 1, level: 'info', requestId: 'r-7', message: 'said so { a: 1 }' });
    expect(warn).toEqual({ kiln: 1, level: 'warn', requestId: 'r-7', message: 'careful\nnow' });
    expect(error?.['message']).toMatch(/^Error: bad\n {4}at /);
    expect(debug?.['level']).toBe('debug');
  });

  it('answers 200 for a handler that returned and left nothing behind that could answer', async () => {
    const to = agent();
    instance(to, 'module.exports = (req, res) => {};');
    expect(await call(to)).toEqual({ status: 200, text: '' });
    expect(await call(to)).toEqual({ status: 200, text: '' });
  });

  it.each([
    ['a timer', "setTimeout(() => res.send('late'), 50)"],
    ['a file', "require('fs').readFile(__filename, () => res.send('late'))"],
    ['a job in the thread pool', "require('crypto').pbkdf2('a', 'b', 20000, 64, 'sha512', () => res.send('late'))"],
  ])('waits for a handler that left %s behind, whether it returned or resolved', async (_what, answer) => {
    for (const kind of ['', 'async']) {
      const to = agent();
      instance(to, `module.exports = ${kind} (req, res) => { ${answer}; };`);
      expect((await call(to)).text).toBe('late');
    }
  });

  it('lets an async handler send a file without waiting for it', async () => {
    const to = agent();
    instance(to, 'module.exports = async (req, res) => { res.sendFile(__filename); };');
    expect((await call(to)).text).toContain('sendFile');
  });

  it('answers 200 for an async handler that ended, though something keeps the process busy', async () => {
    const to = agent();
    instance(to, 'setInterval(() => {}, 1000); module.exports = async () => {};', { KILN_CONCURRENCY: '5' });
    expect(await call(to)).toEqual({ status: 200, text: '' });
  });

  it('lets one request answer another where several run at once', async () => {
    const to = agent();
    instance(
      to,
      "let first; module.exports = (req, res) => { if (!first) { first = res; return; } first.send('by another'); res.send('me'); };",
      {
        KILN_CONCURRENCY: '2',
      },
    );
    const one = call(to);
    await vi.waitFor(() => expect(to.connections).toHaveLength(2), 20_000);
    const two = call(to);
    expect([(await one).text, (await two).text]).toEqual(['by another', 'me']);
  });

  it('reads text in the encoding that its content type names, and refuses one that it does not know', async () => {
    const running = run(['--port', '0', moduleOf('exports.told = (req, res) => res.send(req.body);')]);
    await vi.waitFor(() => expect(running.stdout).toMatch(/told: http/), 20_000);
    const url = /told: (http:\S+)/.exec(running.stdout)?.[1] as string;
    const send = (charset: string, bytes: number[]) =>
      fetch(url, { method: 'POST', body: Buffer.from(bytes), headers: { 'content-type': `text/plain; charset=${charset}` } });
    expect(await (await send('iso-8859-1', [0xe4])).text()).toBe('ä');
    expect(await (await send('shift_jis', [0x82, 0xa0])).text()).toBe('あ');
    expect((await send('klingon', [1])).status).toBe(415);
  });

  it('serves the export that KILN_HANDLER names', async () => {
    const to = agent();
    instance(to, "exports.a = (req, res) => res.send('a'); exports.b = (req, res) => res.send('b');", { KILN_HANDLER: 'b' });
    expect((await call(to)).text).toBe('b');
  });

  it('exits with 1, the message and the stack on stderr, when its module does not load', async () => {
    const to = agent();
    const running = instance(to, "throw new Error('not today');");
    expect(await running.exit).toEqual([1, null]);
    expect(running.stderr).toMatch(/not today[\s\S]*index\.js/);
    expect(to.connections).toHaveLength(0);
  });

  it('exits with 1 when nothing fits: no module, no function, several functions', async () => {
    const to = agent();
    const missing = run([], { KILN_SOCKET: to.path, KILN_ENTRY: join(folder, 'nowhere.js') });
    const empty = instance(to, 'module.exports = { a: 1 };');
    const several = instance(to, 'exports.a = () => {}; exports.b = () => {};');
    expect(await Promise.all([missing, empty, several].map(({ exit }) => exit))).toEqual([
      [1, null],
      [1, null],
      [1, null],
    ]);
    expect([missing.stderr, empty.stderr, several.stderr]).toEqual([
      expect.stringMatching(/no module in .*nowhere\.js/),
      expect.stringMatching(/exports no function/),
      expect.stringMatching(/several exports \(a, b\): set "handler"/),
    ]);
  });

  it.each([
    ['an exception in a timer', 'setTimeout(() => { throw new Error("loose"); }, 1)'],
    ['a rejection that nobody handles', 'Promise.reject(new Error("loose"))'],
  ])('exits with 1 and one line of the log for %s', async (_what, action) => {
    const to = agent();
    const running = instance(to, `module.exports = (req, res) => { ${action}; };`);
    call(to).catch(() => undefined);
    expect(await running.exit).toEqual([1, null]);
    expect(lines(running)).toEqual([
      expect.objectContaining({ level: 'error', message: expect.stringMatching(/uncaught exception: Error: loose\n {4}at/) }),
    ]);
  });

  it('keeps the exit code of a handler that ends the process', async () => {
    const to = agent();
    const running = instance(to, 'module.exports = () => process.exit(3);');
    call(to).catch(() => undefined);
    expect(await running.exit).toEqual([3, null]);
  });

  it('exits with 0 when its agent is gone for good', async () => {
    const to = agent();
    const running = instance(to, 'setInterval(() => {}, 1000); module.exports = () => {};');
    await vi.waitFor(() => expect(to.connections).toHaveLength(1), 20_000);
    to.close();
    expect(await running.exit).toEqual([0, null]);
  });
});

describe('describe', () => {
  it('prints the exports and their configuration, and nothing else, on stdout', async () => {
    const source =
      "console.log('noise'); process.stdout.write('more'); setInterval(() => {}, 1000); exports.a = { func() {}, config: { timeout: 5 } }; exports.b = () => {};";
    const running = run(['describe', moduleOf(source)]);
    expect(await running.exit).toEqual([0, null]);
    expect(JSON.parse(running.stdout)).toEqual({
      exports: [
        { name: 'a', kind: 'definition', config: { timeout: 5 } },
        { name: 'b', kind: 'function' },
      ],
    });
    expect(running.stderr).toContain('noise');
  });

  it.each([
    ['an ES module', 'index.mjs', 'export const a = () => {}; export default () => {};', ['a', 'default']],
    ['an ES module with top-level await', 'index.mjs', 'await null; export const a = () => {};', ['a']],
    ['ES module syntax in a .js file', 'index.js', 'export const a = () => {};', ['a']],
    ['CommonJS', 'function.cjs', 'exports.a = () => {}; exports.b = () => {};', ['a', 'b']],
  ])('reads %s', async (_what, name, source, names) => {
    const running = run(['describe', moduleOf(source, name)]);
    expect(await running.exit).toEqual([0, null]);
    expect((JSON.parse(running.stdout) as { exports: { name: string }[] }).exports.map((entry) => entry.name)).toEqual(names);
  });
});

describe('on a developer’s machine', () => {
  it('every export is served at its name, the path behind it as on the platform', async () => {
    const source = 'exports.hello = (req, res) => res.send("hello " + req.url); exports.empty = () => {};';
    const running = run(['--port', '0', moduleOf(source)]);
    await vi.waitFor(() => expect(running.stdout).toMatch(/empty: http/), 20_000);
    const base = /hello: (http:\S+)\/hello/.exec(running.stdout)?.[1];
    const texts = await Promise.all(['/hello', '/hello/a/b?x=1', '/hello?x=1'].map(async (path) => (await fetch(base + path)).text()));
    expect(texts).toEqual(['hello /', 'hello /a/b?x=1', 'hello /?x=1']);
    expect([(await fetch(`${base}/empty`)).status, (await fetch(`${base}/other`)).status]).toEqual([200, 404]);
    expect(await (await fetch(`${base}/other`)).text()).toContain('/hello');
  });

  it('help and wrong arguments end with 0 and 2', async () => {
    const help = run(['--help']);
    const wrong = run(['--port', 'x']);
    expect([await help.exit, await wrong.exit]).toEqual([
      [0, null],
      [2, null],
    ]);
    expect([help.stdout, wrong.stderr]).toEqual([expect.stringContaining('Usage: kiln-runner'), expect.stringMatching(/port is "x"/)]);
  });

  it('a port that is taken is said so', async () => {
    const taken = http.createServer().listen(0);
    await once(taken, 'listening');
    const { port } = taken.address() as net.AddressInfo;
    const running = run(['--port', String(port), moduleOf('exports.a = () => {};')]);
    expect(await running.exit).toEqual([1, null]);
    expect(running.stderr).toContain('EADDRINUSE');
    taken.close();
  });
});
