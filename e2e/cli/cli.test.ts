import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CreatedKey } from '@kiln/contract/api/control-api';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { startCli } from '@kiln/testing/cluster-programs';
import { freePorts } from '@kiln/testing/ports';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { example } from '../support/inside.js';

let cluster: Cluster;
let work: string;
let readKey: string;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'kiln-cli-'));
  cluster = await startCluster({ nodes: 2 });
  readKey = (await cluster.api('POST', '/v1/keys', { name: 'reader', scopes: ['read'] })).json<CreatedKey>().apiKey;
  await cluster.deploy(example('hello'), { name: 'hello' });
});
afterAll(async () => {
  await cluster?.stop();
  rmSync(work, { recursive: true, force: true });
});

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function kiln(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  const program = startCli(args, {
    KILN_HOME: join(work, 'home'),
    KILN_URL: `http://127.0.0.1:${cluster.router.ports.control}`,
    KILN_API_KEY: cluster.shared.adminKey,
    ...env,
  });
  const { code } = await program.exited;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

function folder(name: string, files: Record<string, string>): string {
  const path = join(work, name);
  mkdirSync(path, { recursive: true });
  for (const [file, content] of Object.entries(files)) writeFileSync(join(path, file), content);
  return path;
}

describe('exit codes', () => {
  it('0: what worked', async () => {
    expect(await kiln(['ls'])).toMatchObject({ code: 0 });
  });

  it.each([[['nonsense']], [['ls', '--nonsense']], [['invoke']], [['deploy', '--config']], [['ls', '-o', 'yaml']]])(
    '2: wrong usage: %j',
    async (args) => {
      const { code, stdout, stderr } = await kiln(args);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).not.toBe('');
      expect(stderr).not.toMatch(/\n\s+at /);
    },
  );

  it('2: a mistyped command names the right one', async () => {
    expect((await kiln(['deplpy'])).stderr).toMatch(/deploy/);
  });

  it('3: worth retrying, where nobody answers', async () => {
    const [port] = (await freePorts(1)) as [number];
    const { code, stderr } = await kiln(['ls'], { KILN_URL: `http://127.0.0.1:${port}` });
    expect(code, stderr).toBe(3);
    expect(stderr).toMatch(/kiln up|KILN_URL/);
  });

  it('4: no key, a wrong key, a key without the scope', async () => {
    const wrong = await kiln(['ls'], { KILN_API_KEY: `kiln_${'a'.repeat(12)}_${'b'.repeat(40)}` });
    expect([wrong.code, wrong.stdout]).toEqual([4, '']);
    const scope = await kiln(['rm', 'hello', '--yes'], { KILN_API_KEY: readKey });
    expect(scope.code, scope.stderr).toBe(4);
    expect(scope.stderr).toMatch(/scope/);
  });

  it('5: what is not there, with the next command', async () => {
    const { code, stdout, stderr } = await kiln(['inspect', 'nobody']);
    expect([code, stdout]).toEqual([5, '']);
    expect(stderr).toMatch(/nobody/);
    expect(stderr).toMatch(/kiln ls/);
  });

  it('130: interrupted', async () => {
    const logging = folder('talker', {
      'kiln.json': '{}',
      'index.js': "module.exports = (req, res) => (console.log('called'), res.end());\n",
    });
    await cluster.deploy(logging, { name: 'talker' });
    const program = startCli(['logs', 'talker', '--follow'], {
      KILN_HOME: join(work, 'home'),
      KILN_URL: `http://127.0.0.1:${cluster.router.ports.control}`,
      KILN_API_KEY: cluster.shared.adminKey,
    });
    await until('it shows a line', async () => {
      await cluster.call('/fn/talker/');
      return program.stdout !== '';
    });
    program.kill('SIGINT');
    expect((await program.exited).code).toBe(130);
  });
});

describe('output', () => {
  it('is JSON on stdout where that is no terminal, and prose only on stderr', async () => {
    for (const args of [['ls'], ['inspect', 'hello'], ['nodes', 'ls'], ['keys', 'ls'], ['status']]) {
      const { code, stdout, stderr } = await kiln(args);
      expect(code, `${args.join(' ')}: ${stderr}`).toBe(0);
      expect(JSON.parse(stdout), `${args.join(' ')}: ${stdout}`).toBeTypeOf('object');
    }
  });

  it('is text with -o text', async () => {
    const { code, stdout } = await kiln(['ls', '-o', 'text']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/hello/);
    expect(() => JSON.parse(stdout)).toThrow();
  });

  it('never holds a key but the one just made', async () => {
    const made = JSON.parse((await kiln(['keys', 'create', 'ci', '--scope', 'deploy'])).stdout) as CreatedKey;
    expect(made.apiKey).toMatch(/^kiln_[A-Za-z0-9]+_[A-Za-z0-9]{32,}$/);
    expect((await kiln(['keys', 'ls'])).stdout).not.toContain(made.apiKey);
    expect((await kiln(['keys', 'rm', made.id, '--yes'])).code).toBe(0);
    expect((await kiln(['ls'], { KILN_API_KEY: made.apiKey })).code).toBe(4);
  });
});

describe('the way of a function', () => {
  it('init, deploy, invoke, logs, inspect, rm', async () => {
    const path = join(work, 'first');
    expect(await kiln(['init', path])).toMatchObject({ code: 0 });

    const deployed = await kiln(['deploy', path]);
    expect(deployed.code, deployed.stderr).toBe(0);
    const result = JSON.parse(deployed.stdout) as { function: string; version: number; url: string; digest: string };
    expect(result).toMatchObject({ function: 'first', version: 1, digest: expect.stringMatching(/^sha256:/) });

    const invoked = await kiln(['invoke', 'first']);
    expect(invoked.code, invoked.stderr).toBe(0);
    expect(invoked.stdout).not.toBe('');

    writeFileSync(join(path, 'index.js'), 'export const hello = (req, res) => { console.log("a line of mine"); res.send("two"); };\n');
    const second = await kiln(['deploy', path]);
    expect(second.code, second.stderr).toBe(0);
    expect(JSON.parse(second.stdout)).toMatchObject({ version: 2, changed: true, rollback: expect.stringContaining('rollback first') });
    expect((await kiln(['invoke', 'first'])).stdout).toContain('two');

    const logs = await until('its line is in the logs', async () => {
      const { stdout } = await kiln(['logs', 'first']);
      return stdout.includes('a line of mine') && stdout;
    });
    for (const line of logs.trim().split('\n')) expect(JSON.parse(line)).toMatchObject({ function: 'first', message: expect.any(String) });
    expect(JSON.parse((await kiln(['inspect', 'first'])).stdout)).toBeTypeOf('object');

    expect((await kiln(['rm', 'first', '--yes'])).code).toBe(0);
    expect((await kiln(['invoke', 'first'])).code).toBe(5);
    await until('nothing of it runs', async () => (await cluster.containers('first')).length === 0);
  });

  it('a call that fails in the function says so and exits with 1', async () => {
    const path = folder('thrower', {
      'index.js': 'module.exports = () => { throw new Error("on purpose"); };',
      'kiln.json': '{ "name": "thrower" }',
    });
    expect((await kiln(['deploy', path])).code).toBe(0);
    const { code, stderr } = await kiln(['invoke', 'thrower']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/500|function_error/);
  });
});

describe('deploy of a broken folder says what is wrong and how to fix it', () => {
  it.each<[string, Record<string, string>, RegExp]>([
    ['empty', {}, /index\.js|Dockerfile|package\.json/],
    ['unknown-key', { 'index.js': 'module.exports = () => {};', 'kiln.json': '{ "timeOut": 5000 }' }, /timeOut.*did you mean "timeout"/s],
    ['bad-value', { 'index.js': 'module.exports = () => {};', 'kiln.json': '{ "timeout": -5 }' }, /timeout/],
    ['no-json', { 'index.js': 'module.exports = () => {};', 'kiln.json': '{ oops' }, /kiln\.json/],
    ['bad-name', { 'index.js': 'module.exports = () => {};', 'kiln.json': '{ "name": "Not_Good" }' }, /name/],
    [
      'syntax',
      { 'index.js': 'module.exports = (req, res => {', 'kiln.json': '{ "name": "syntax" }' },
      /SyntaxError[\s\S]*at index\.js:1\n[\s\S]*> 1 \| module\.exports/,
    ],
    [
      'throws-at-load',
      { 'index.js': 'throw new Error("cannot load this");', 'kiln.json': '{ "name": "throws-at-load" }' },
      /cannot load this\n {4}at index\.js:1:7\n/,
    ],
    ['no-handler', { 'index.js': 'module.exports = { a: 1 };', 'kiln.json': '{ "name": "no-handler" }' }, /export|handler/],
    [
      'missing-module',
      { 'index.js': 'require("not-installed-anywhere"); module.exports = () => {};', 'kiln.json': '{ "name": "missing-module" }' },
      /not-installed-anywhere/,
    ],
    [
      'bad-dockerfile',
      { Dockerfile: 'FROM node:24-trixie-slim\nRUN exit 7\n', 'kiln.json': '{ "name": "bad-dockerfile" }' },
      /exit 7|code: 7|non-zero/,
    ],
  ])('%s', async (name, files, said) => {
    const { code, stdout, stderr } = await kiln(['deploy', folder(name, files)]);
    expect([1, 2], stderr).toContain(code);
    expect(stdout).toBe('');
    expect(stderr).toMatch(said);
    expect(stderr).not.toMatch(/node:internal\/process|UnhandledPromise/);
  });

  it('that is not there', async () => {
    const { code, stderr } = await kiln(['deploy', join(work, 'nowhere')]);
    expect([1, 2, 5]).toContain(code);
    expect(stderr).toMatch(/nowhere/);
  });
});

describe('doctor', () => {
  it('checks this machine and the cluster, each check with a word on it', async () => {
    const { stdout, stderr } = await kiln(['doctor']);
    const report = stdout + stderr;
    for (const topic of [/engine/i, /node/i, /redis/i]) expect(report).toMatch(topic);
  });
});

it('the credentials that kiln up writes are used where nothing is set', async () => {
  const home = join(work, 'written');
  mkdirSync(home, { recursive: true });
  writeFileSync(
    join(home, 'credentials.json'),
    JSON.stringify({ url: `http://127.0.0.1:${cluster.router.ports.control}`, apiKey: cluster.shared.adminKey }),
    { mode: 0o600 },
  );
  const program = startCli(['ls'], { KILN_HOME: home });
  expect((await program.exited).code, program.stderr).toBe(0);
  expect(readFileSync(join(home, 'credentials.json'), 'utf8')).toContain('url');
});
