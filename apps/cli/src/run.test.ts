import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ControlApi, KEY, kiln, type RunOptions } from './control-api.fixture.js';

let api: ControlApi;
let home: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'kiln-cli-'));
  api = new ControlApi();
});

beforeEach(async () => {
  await api.close().catch(() => {});
  api = new ControlApi();
  await api.listen();
});

afterAll(async () => {
  await api.close();
  rmSync(home, { recursive: true, force: true });
});

function connected(args: string[], options: RunOptions = {}) {
  return kiln(args, { ...options, env: { KILN_HOME: home, KILN_URL: api.url, KILN_API_KEY: KEY, ...options.env } });
}

const COMMANDS = ['up', 'down', 'status', 'doctor', 'init', 'deploy', 'invoke', 'logs', 'ls', 'inspect', 'rm'];
const NESTED = ['nodes ls', 'nodes drain', 'nodes undrain', 'keys ls', 'keys create', 'keys rm'];

describe('help and usage', () => {
  it.each([...COMMANDS, ...NESTED, 'nodes', 'keys', ''])('shows help with examples for: kiln %s', async (command) => {
    const { code, stdout, stderr } = await connected([...command.split(' ').filter(Boolean), '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('Examples:');
  });

  it.each([
    [['deplyo'], 'Did you mean deploy'],
    [['nodes', 'drian', 'x'], 'Did you mean drain'],
    [['ls', '--outptu', 'json'], 'Did you mean --output'],
    [['ls', 'too', 'many'], 'too many arguments'],
    [['inspect'], "missing required argument 'name'"],
    [['ls', '-o', 'yaml'], 'text, json'],
    [['up', '--nodes', '0'], '1 to 32'],
    [['keys', 'create', 'x'], '--scope'],
    [['keys', 'create', 'x', '--scope', 'root'], 'admin, deploy, read, invoke'],
    [['inspect', 'Not A Name'], 'not-a-name'],
    [['inspect', '../keys'], "can't be a function's name"],
    [['invoke', 'hello@0'], 'does not name a version'],
    [['invoke', 'hello', '-H', 'no colon'], 'is not a header'],
    [['invoke', 'hello', '-d', '@/no/such/file'], '/no/such/file'],
    [['invoke', 'hello', '/a b'], '%20'],
    [['logs', 'hello', '--since', 'yesterday'], '10m'],
    [['help', 'nope'], 'kiln has no command "nope"'],
    [['help', 'deplyo'], 'did you mean "deploy"?'],
    [['help', 'secrets', 'sett'], 'kiln secrets has no command "sett"'],
    [['logs', 'hello', '--since', '5'], 'neither a duration nor a time'],
    [['logs', 'hello', '--request-id', '7b1c*'], 'whole x-request-id'],
    [['up', '--deploy', '/no/such/folder'], '/no/such/folder'],
  ])('refuses %j as wrong usage', async (args, message) => {
    const { code, stdout, stderr } = await connected(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain('next: ');
    expect(api.seen).toEqual([]);
  });

  it('shows help on stderr where a command is missing', async () => {
    const { code, stdout, stderr } = await connected([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: kiln <command>');
  });

  it('names the variable that is wrong', async () => {
    const { code, stderr } = await kiln(['ls'], { env: { KILN_HTTP_PORT: 'x' } });
    expect(code).toBe(2);
    expect(stderr).toContain('KILN_HTTP_PORT is "x": must be a port');
  });
});

describe('errors', () => {
  it('does not call a mistake in a folder a malformed request', async () => {
    api.fail('GET /v1/functions', 'bad_request', 'kiln.json: because of the test');
    expect((await connected(['ls'])).stderr).toMatch(/^kiln: kiln\.json: because of the test\n/);
  });

  it.each([
    ['forbidden', 4],
    ['function_not_found', 5],
    ['conflict', 6],
    ['unavailable', 3],
    ['no_capacity', 3],
    ['concurrency_limit', 3],
    ['rate_limited', 3],
    ['bad_request', 1],
    ['internal', 1],
  ] as const)('ends with the exit code of %s', async (errorCode, exitCode) => {
    api.fail('GET /v1/functions', errorCode, 'because of the test');
    const { code, stdout, stderr } = await connected(['ls']);
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
    expect(stderr).toMatch(/^kiln: (.*: )?because of the test\n {2}next: .{10,}\n {2}code: [a-z_]+\n$/);
  });

  it('lead to what is known here: to the own help of a command, and to where a key comes from', async () => {
    expect((await connected(['versions', 'pin', 'hello'])).stderr).toContain('next: see how it is used: kiln versions pin --help\n');
    expect((await connected(['lss'])).stderr).toContain('next: see how it is used: kiln --help\n');
    api.fail('GET /v1/functions', 'unauthorized', 'no valid API key was sent');
    expect((await connected(['ls'])).stderr).toMatch(
      /^kiln: No valid API key: http:\/\/127\.0\.0\.1:\d+ does not accept the key from KILN_API_KEY\n {2}next: .*KILN_URL.*\n {2}code: unauthorized\n$/,
    );
  });

  it('tells them as an object where JSON was asked for', async () => {
    const { code, stderr } = await connected(['inspect', 'nope', '-o', 'json']);
    expect(code).toBe(5);
    const { error } = JSON.parse(stderr) as { error: unknown };
    expect(error).toMatchObject({
      code: 'function_not_found',
      exitCode: 5,
      message: expect.stringContaining('/v1/functions/nope'),
      fix: expect.any(String),
    });
    const usage = await connected(['lss', '--output=json']);
    expect(JSON.parse(usage.stderr)).toMatchObject({ error: { code: 'usage', exitCode: 2 } });
  });

  it('says that nothing answers there', async () => {
    const { url } = api;
    await api.close();
    for (const args of [['ls'], ['status']]) {
      const { code, stderr } = await connected(args, { env: { KILN_URL: url } });
      expect(code).toBe(3);
      expect(stderr).toContain(url);
      expect(stderr).toContain('kiln up');
    }
  });

  it('says which credentials are missing', async () => {
    const none = await kiln(['ls'], { env: { KILN_HOME: home } });
    expect(none.code).toBe(4);
    expect(none.stderr).toContain('kiln up');
    const half = await kiln(['ls'], { env: { KILN_HOME: home, KILN_URL: api.url } });
    expect(half.code).toBe(4);
    expect(half.stderr).toContain('set KILN_API_KEY');
  });

  it('uses what kiln up wrote, and never sends its key elsewhere', async () => {
    const credentials = join(home, 'credentials.json');
    writeFileSync(credentials, JSON.stringify({ url: api.url, apiKey: KEY }));
    expect((await kiln(['ls'], { env: { KILN_HOME: home } })).code).toBe(0);
    const elsewhere = await kiln(['ls'], { env: { KILN_HOME: home, KILN_URL: 'http://127.0.0.1:1' } });
    expect(elsewhere.code).toBe(4);
    writeFileSync(credentials, '{');
    expect((await kiln(['ls'], { env: { KILN_HOME: home } })).code).toBe(4);
    rmSync(credentials);
  });

  it('can not steer the terminal', async () => {
    api.fail('GET /v1/functions', 'internal', '\u001b[2Jgone');
    expect((await connected(['ls'], { typed: '' })).stderr).toContain('\\x1b[2Jgone');
  });
});

describe('an error on a narrow terminal', () => {
  it('breaks between words, but neither source nor the next step', async () => {
    const source = `> 3 |     const line = ${'that.is.long '.repeat(8)};`;
    api.fail('GET /v1/functions', 'start_failed', `before it was ready the process exited with code 1; its last log lines:\n${source}`);
    const { stderr } = await connected(['ls'], { typed: '', columns: 60, env: { NO_COLOR: '1' } });
    const [first, second, third] = stderr.split('\n');
    expect([first, second]).toEqual([
      'kiln: The version cannot start: before it was ready the',
      'process exited with code 1; its last log lines:',
    ]);
    expect(third).toBe(source);
  });
});

describe('help', () => {
  it.each([60, 80, 120])('breaks no word of what it says at %i columns', async (columns) => {
    const { stdout } = await connected(['deploy', '--help'], { typed: '', columns });
    const [told = ''] = stdout.split('Examples:');
    for (const line of told.split('\n')) expect(line.length).toBeLessThanOrEqual(columns);
    expect(told).toMatch(/^ {2,}.*\bpushed\b|removal|nodes\b/m);
  });
});

describe('lists and views', () => {
  it('prints JSON where stdout is no terminal, and a table where it is', async () => {
    const piped = await connected(['ls']);
    expect(piped.code).toBe(0);
    expect(JSON.parse(piped.stdout)).toEqual([api.functionView()]);
    const shown = await connected(['ls'], { typed: '' });
    expect(shown.stdout).toMatch(/^FUNCTION +TRAFFIC +HOME +CHANGED +URL\nhello +v2 +node-1/);
    expect((await connected(['ls', '-o', 'text'])).stdout).toBe(shown.stdout);
  });

  it('reads every page', async () => {
    api.routes.set('GET /v1/functions', ({ path }, response) => {
      const second = path.includes('after=');
      response.end(JSON.stringify({ items: [{ ...api.functionView(), name: second ? 'b' : 'a' }], next: second ? null : 'a' }));
    });
    expect((JSON.parse((await connected(['ls'])).stdout) as { name: string }[]).map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('inspects a function', async () => {
    const { stdout } = await connected(['inspect', 'hello']);
    expect(JSON.parse(stdout)).toMatchObject({ name: 'hello', versions: [{ version: 2 }], instances: [] });
    expect((await connected(['inspect', 'hello', '-o', 'text'])).stdout).toContain('v2       ready');
  });

  it('lists nodes with what they complain of', async () => {
    const { stdout, stderr } = await connected(['nodes', 'ls']);
    expect(JSON.parse(stdout)).toMatchObject([{ id: 'node-1', live: true }]);
    expect(stderr).toContain('warning: node-1: no rules in INPUT');
  });

  it('shows a new key once, alone on stdout', async () => {
    api.json(
      'POST /v1/keys',
      { id: 'k1', name: 'ci', scopes: ['deploy'], createdAt: '2030-01-01T00:00:00.000Z', apiKey: 'kiln_k1_s' },
      201,
    );
    const { stdout } = await connected(['keys', 'create', 'ci', '--scope', 'deploy', '-o', 'text']);
    expect(stdout).toBe('kiln_k1_s\n');
    expect(JSON.parse(api.seen.at(-1)?.body.toString() ?? '')).toEqual({ name: 'ci', scopes: ['deploy'] });
  });

  it('summarises, also while Redis is away', async () => {
    expect(JSON.parse((await connected(['status'])).stdout)).toMatchObject({
      router: 'ready',
      redis: 'answers',
      functions: { total: 1, serving: 1 },
    });
    api.state('degraded');
    api.json('GET /v1/store', { state: 'away', detail: 'the store does not answer', holds: null });
    api.fail('GET /v1/nodes', 'unavailable', 'the store is away');
    const away = await connected(['status']);
    expect(away.code).toBe(0);
    expect(JSON.parse(away.stdout)).toMatchObject({ router: 'degraded', redis: 'away', nodes: null });
  });

  it('says that Redis was emptied and what to do, which doctor says and does', async () => {
    const lost = { state: 'lost', detail: 'the store was emptied', fix: 'kiln doctor --restore-store' };
    api.state('degraded\nthe store was emptied');
    api.json('GET /v1/store', { ...lost, holds: null });
    const status = await connected(['status']);
    expect(JSON.parse(status.stdout)).toMatchObject({ router: 'degraded', redis: 'has lost data' });
    expect(status.stderr).toContain('redis: the store was emptied\nnext: kiln doctor --restore-store');
    const doctor = await connected(['doctor']);
    expect(doctor.code).toBe(1);
    expect(JSON.parse(doctor.stdout)).toContainEqual({ name: 'store', state: 'failed', detail: lost.detail, fix: lost.fix });
    const holds = { functions: 2, versions: 5, keys: 1, secrets: 1, secretValues: true };
    api.json('POST /v1/store/restore', { state: 'well', holds });
    const restored = await connected(['doctor', '--restore-store', '-o', 'text']);
    expect([restored.code, restored.stdout]).toEqual([0, 'written back: 2 functions with 5 versions, 1 keys, 1 secrets\n']);
  });

  it('forgets what was known only after a yes', async () => {
    api.json('POST /v1/store/accept', { state: 'well', holds: null });
    expect((await connected(['doctor', '--accept-store'], { typed: 'n\n' })).code).toBe(1);
    expect(api.seen).toEqual([]);
    expect((await connected(['doctor', '--accept-store', '--yes'])).code).toBe(0);
    expect(api.seen.map(({ path }) => path)).toEqual(['/v1/store/accept']);
  });
});

describe('rm', () => {
  it('asks on a terminal and takes no for an answer', async () => {
    const no = await connected(['rm', 'hello'], { typed: 'n\n' });
    expect(no.code).toBe(1);
    expect(no.stderr).toContain('[y/N]');
    expect(api.seen.map(({ method }) => method)).toEqual(['GET']);
    api.json('DELETE /v1/functions/hello', undefined, 204);
    expect((await connected(['rm', 'hello'], { typed: 'y\n' })).code).toBe(0);
  });

  it('does not ask with --yes', async () => {
    api.json('DELETE /v1/functions/hello', undefined, 204);
    const { code, stdout } = await connected(['rm', 'hello', '--yes']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ function: 'hello', removed: true });
  });

  it('wants --yes where there is no terminal, and first of all something to remove', async () => {
    expect(await connected(['rm', 'hello'])).toMatchObject({ code: 2, stderr: expect.stringContaining('kiln rm hello --yes') });
    const gone = await connected(['rm', 'nosuch']);
    expect([gone.code, gone.stderr]).toEqual([5, expect.stringContaining('kiln ls')]);
    api.json('GET /v1/keys', { items: [], next: null });
    expect((await connected(['keys', 'rm', 'nosuch'])).code).toBe(5);
    expect(api.seen.every(({ method }) => method === 'GET')).toBe(true);
  });
});
