import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, type CallOptions, call } from '@kiln/testing/call';
import { until } from '@kiln/testing/until';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { example } from '../support/inside.js';
import { dev, home, port, processes, root, start, withDevFolder, write } from './dev-folder.js';

/** 300 ms is the promise; this machine may be busy with other things. */
const ALLOWED_RELOAD_MS = 3000;
/** A runner whose socket is gone waits 5 s for it. */
const ALLOWED_ORPHAN_MS = 20_000;

withDevFolder();

const get = (path: string, options: CallOptions = {}): Promise<Answer> => call(port, path, options);
const textOf = async (path: string) => (await get(path)).text;
const says = (word: string) => `module.exports = (req, res) => res.send('${word}');\n`;

describe('kiln dev', () => {
  it('serves each function as a router would, with the variables of kiln.json and .env and no others', async () => {
    const show = `exports.show = (req, res) => res.json({ url: req.url, body: req.body, prefix: req.get('x-forwarded-prefix'),
      id: req.get('x-request-id'), forged: req.get('x-kiln-forged'), cwd: process.cwd(), env: process.env });\n`;
    write({
      'one/kiln.json': JSON.stringify({ handler: 'show', env: { A: 'kiln', B: 'kiln' }, secrets: ['S', 'MISSING'] }),
      'one/index.js': show,
      'one/.env': 'B=own\nS="a secret"\nKILN_FUNCTION=forged\n',
      '.env': 'A=upper\nB=upper\nC=upper\n',
      'two/kiln.json': '{}',
      'two/index.mjs': 'export default (req, res) => res.send("two");\n',
    });
    const program = await dev();
    const headers = { 'content-type': 'application/json', 'x-kiln-forged': '1', 'x-request-id': 'mine' };
    const answer = await get('/fn/one/a/../b?c=%20', { method: 'POST', body: '{"d":1}', headers });
    expect(answer.json()).toMatchObject({
      url: '/a/../b?c=%20',
      body: { d: 1 },
      prefix: '/fn/one',
      id: 'mine',
      cwd: join(root, 'one'),
      env: { A: 'upper', B: 'own', C: 'upper', S: 'a secret', KILN_FUNCTION: 'one' },
    });
    expect(answer.json<{ env: object }>().env).not.toHaveProperty('NOT_FOR_FUNCTIONS');
    expect(answer.json()).not.toHaveProperty('forged');
    expect(answer.headers['x-request-id']).toBe('mine');
    expect(program.stderr).toContain('secret MISSING');
    const bare = await get('/fn/two?x=1');
    expect([bare.status, bare.headers.location]).toEqual([307, '/fn/two/?x=1']);
    expect(await textOf('/fn/two/')).toBe('two');
    expect((await get('/', { headers: { host: `two.localhost:${port}` } })).text).toBe('two');
    expect(await textOf('/')).toBe('/fn/one/\n/fn/two/\n');
    expect((await get('/fn/three/')).headers['x-kiln-error']).toBe('function_not_found');
    await until('the call is told', () => program.stderr.includes('one  POST /a/../b?c=%20 200'));
  });

  it('reloads at each save, whichever way an editor saves', async () => {
    write({ 'kiln.json': '{"name":"hello"}', 'index.js': says('0'), 'lib/word.js': 'module.exports = "0";\n' });
    await dev();
    expect(await textOf('/fn/hello/')).toBe('0');
    const took: number[] = [];
    for (let i = 1; i <= 6; i += 1) {
      const started = performance.now();
      if (i % 2 === 0) write({ 'index.js': says(String(i)) });
      else {
        writeFileSync(join(home, 'new'), says(String(i)));
        renameSync(join(home, 'new'), join(root, 'index.js'));
      }
      await until(`it answers ${i}`, async () => (await textOf('/fn/hello/')) === String(i));
      took.push(performance.now() - started);
    }
    took.sort((a, b) => a - b);
    console.info(`from save to the new answer: ${took.map(Math.round).join(', ')} ms`);
    expect(took[3]).toBeLessThan(ALLOWED_RELOAD_MS);
    write({
      'index.js': 'module.exports = (req, res) => res.send(require("./lib/word.js"));\n',
      'lib/word.js': 'module.exports = "deep";\n',
    });
    await until('a file below counts', async () => (await textOf('/fn/hello/')) === 'deep');
  });

  it('fails no call while it reloads, and shows no old answer after a new one', async () => {
    write({ 'kiln.json': '{"name":"hello"}', 'index.js': says('0') });
    await dev();
    const answers: Answer[] = [];
    let done = false;
    const caller = async () => {
      while (!done) answers.push(await get('/fn/hello/'));
    };
    const callers = [caller(), caller()];
    for (let i = 1; i <= 5; i += 1) {
      write({ 'index.js': says(String(i)) });
      const before = answers.length;
      await until(`it answers ${i}`, () => answers.at(-1)?.text === String(i) && answers.length >= before + 5);
    }
    done = true;
    await Promise.all(callers);
    expect(answers.filter(({ status }) => status !== 200).map(({ status, text }) => `${status} ${text}`)).toEqual([]);
    expect(answers.length).toBeGreaterThan(20);
  });

  it('lets a call that runs finish on the old code', async () => {
    const slow = (word: string) => `module.exports = (req, res) => setTimeout(() => res.send('${word}'), Number(req.query.ms ?? 0));\n`;
    write({ 'kiln.json': '{"name":"slow"}', 'index.js': slow('old') });
    await dev();
    const long = get('/fn/slow/?ms=4000');
    // Another instance answers beside it.
    expect(await textOf('/fn/slow/')).toBe('old');
    write({ 'index.js': slow('new') });
    await until('the new code answers', async () => (await textOf('/fn/slow/')) === 'new');
    expect((await long).text).toBe('old');
  });

  it('tells why a module does not load, answers so, and goes on when it is mended', async () => {
    write({ 'kiln.json': '{"name":"hello"}', 'index.js': says('first') });
    const program = await dev();
    write({ 'index.js': 'module.exports = (req, res => {\n' });
    const refused = await until('it answers with the fault', async () => {
      const answer = await get('/fn/hello/');
      return answer.status === 502 && answer;
    });
    expect(refused.headers['x-kiln-error']).toBe('start_failed');
    expect(refused.text).toContain('SyntaxError');
    expect(program.stdout).toContain('SyntaxError');
    expect(program.stderr).toContain('hello: does not start');
    write({ 'index.js': says('mended') });
    await until('it is mended', async () => (await textOf('/fn/hello/')) === 'mended');
  });

  it('shows what functions write, with its level and request, and stacks of what they throw', async () => {
    write({
      'kiln.json': '{"name":"hello"}',
      'index.js': 'module.exports = (req) => {\n  console.warn("careful", { a: 1 });\n  throw new Error("on purpose");\n};\n',
    });
    const program = await dev();
    const answer = await get('/fn/hello/', { headers: { 'x-request-id': 'r-1' } });
    expect([answer.status, answer.headers['x-kiln-error']]).toEqual([500, 'function_error']);
    const lines = await until('the lines are told', () => {
      const told = program.stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, string>);
      return told.length >= 3 && told;
    });
    expect(lines).toContainEqual({ function: 'hello', level: 'warn', requestId: 'r-1', message: 'careful { a: 1 }' });
    expect(lines.find(({ level }) => level === 'error')?.['message']).toMatch(/on purpose\n\s+at .*index\.js:3/);
  });

  it('holds a call to the timeout that the module gives it, and outlives a crash', async () => {
    write({
      'kiln.json': '{"name":"hello"}',
      'index.js': `exports.hello = { config: { timeout: 500 }, func: async (req, res) => {
        if (req.query.crash) process.exit(7);
        if (req.query.wait) await new Promise(() => setInterval(() => {}, 1000));
        res.send('well');
      } };\n`,
    });
    const program = await dev();
    const late = await until('the module’s own timeout is known', async () => {
      const answer = await get('/fn/hello/?wait=1');
      return answer.status === 504 && answer;
    });
    expect(late.text).toContain('500 ms');
    expect(await textOf('/fn/hello/')).toBe('well');
    const crashed = await get('/fn/hello/?crash=1');
    expect([crashed.status, crashed.headers['x-kiln-error']]).toEqual([502, 'function_crashed']);
    expect(crashed.text).toContain('the process exited with code 7');
    expect(program.stderr).toContain('exit code 7');
    expect(await textOf('/fn/hello/')).toBe('well');
  });

  it('gives one instance as many calls at once as the module’s own configuration says, and another what comes besides', async () => {
    const slow = 'async (req, res) => { await new Promise((resolve) => setTimeout(resolve, 1000)); res.send(String(process.pid)); }';
    write({ 'kiln.json': '{"name":"hello"}', 'index.js': `exports.hello = { config: { concurrency: 2 }, func: ${slow} };\n` });
    await dev();
    const pids = async (calls: number) => new Set(await Promise.all(Array.from({ length: calls }, () => textOf('/fn/hello/'))));
    expect([(await pids(2)).size, (await pids(4)).size]).toEqual([1, 2]);
  });

  it('runs the examples: streams, WebSockets, an Express app', async () => {
    for (const name of ['stream', 'websocket', 'hello']) {
      const program = await dev(['--port', String(port)], example(name));
      if (name === 'websocket') {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/fn/websocket/`);
        const echoed = new Promise((resolve, reject) => socket.on('message', (data) => resolve(String(data))).on('error', reject));
        socket.on('open', () => socket.send('over it'));
        expect(await echoed).toContain('over it');
        socket.terminate();
      } else expect((await get(`/fn/${name}/`)).status).toBe(200);
      await program.end(10_000);
    }
  });

  it('follows kiln.json and .env: functions come, change and go', async () => {
    const env = 'exports.a = exports.b = (req, res) => res.send([process.env.KILN_FUNCTION, process.env.WORD].join(" "));\n';
    const declare = (...names: string[]) =>
      JSON.stringify({ functions: names.map((name) => ({ name, handler: name, env: { WORD: 'one' } })) });
    write({ 'kiln.json': declare('a'), 'index.js': env });
    const program = await dev();
    expect(await textOf('/fn/a/')).toBe('a one');
    write({ '.env': 'WORD=two\n' });
    await until('.env counts', async () => (await textOf('/fn/a/')) === 'a two');
    write({ 'kiln.json': '{ oops' });
    await until('a broken kiln.json is told', () => program.stderr.includes('going on as before'));
    expect(await textOf('/fn/a/')).toBe('a two');
    write({ 'kiln.json': declare('b') });
    await until('b has come', async () => (await textOf('/fn/b/')) === 'b two');
    expect((await get('/fn/a/')).status).toBe(404);
  });

  it('takes the next free port, and says which is taken where one was asked for', async () => {
    write({ 'kiln.json': '{"name":"hello"}', 'index.js': says('here') });
    const first = await dev([]);
    const second = await dev([]);
    const [a, b] = [first, second].map(({ stdout }) => (JSON.parse(stdout.split('\n')[0] as string) as { port: number }).port);
    expect(a).toBeGreaterThanOrEqual(3000);
    expect(b).toBeGreaterThan(a as number);
    const third = start(['--port', String(a)]);
    expect([(await third.exited).code, third.stderr]).toEqual([1, expect.stringContaining(String(a))]);
  });

  it('leaves nothing behind at Ctrl-C, nor when it is killed', async () => {
    write({ 'kiln.json': '{"name":"hello"}', 'index.js': says('here') });
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const program = await dev();
      const waiting = get('/fn/hello/');
      await waiting;
      program.kill(signal);
      expect((await program.exited).code).toBe(signal === 'SIGINT' ? 0 : null);
      await until('no process is left', () => processes().length === 0, ALLOWED_ORPHAN_MS);
      expect(readdirSync(join(home, 'tmp')).length).toBe(signal === 'SIGINT' ? 0 : 1);
    }
    // The next one tidies up after the one that was killed.
    await (await dev()).end(10_000);
    expect(readdirSync(join(home, 'tmp'))).toEqual([]);
  });

  it('runs TypeScript and Python as well', async () => {
    write({
      'typed/kiln.json': '{}',
      'typed/index.ts':
        'type Word = string;\nexport const typed = (_req: unknown, res: { send(word: Word): void }) => res.send("typed");\n',
      'snake/kiln.json': '{}',
      'snake/handler.py': 'def handler(event):\n    print("a line")\n    return "snake"\n',
    });
    const program = await dev();
    expect(await textOf('/fn/typed/')).toBe('typed');
    expect(await textOf('/fn/snake/')).toContain('snake');
    await until('its line is told', () => program.stdout.includes('"message":"a line"'));
    write({ 'snake/handler.py': 'def handler(event):\n    return "python"\n' });
    await until('the new code answers', async () => (await textOf('/fn/snake/')).includes('python'));
  });

  it('says that a Dockerfile needs an engine', async () => {
    write({ 'kiln.json': '{"name":"hello"}', Dockerfile: 'FROM scratch\n' });
    const program = start();
    expect((await program.exited).code).toBe(1);
    expect(program.stderr).toContain('Dockerfile');
  });
});
