import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { KEY } from '../../control-api.fixture.js';
import { api, connected, root, withControlApi } from '../../with-control-api.fixture.js';

withControlApi();

const done = (name: string) => ({
  type: 'done',
  function: name,
  version: 3,
  digest: `sha256:${'b'.repeat(64)}`,
  url: `http://localhost:8080/fn/${name}/`,
  changed: true,
  buildMs: 1200,
  readyMs: 300,
  rollback: `kiln rollback ${name}`,
});

describe('init and deploy', () => {
  it('writes a function that can be deployed, and overwrites nothing', async () => {
    const folder = join(root, 'My First');
    const { code, stdout, stderr } = await connected(['init', folder]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ name: 'my-first', files: ['index.js', 'package.json', 'kiln.json'] });
    expect(stderr).toContain('kiln deploy');
    expect(JSON.parse(readFileSync(join(folder, 'kiln.json'), 'utf8'))).toMatchObject({ name: 'my-first' });
    expect(await connected(['init', folder])).toMatchObject({ code: 6, stderr: expect.stringContaining('index.js') });
    expect(await connected(['init', join(folder, 'index.js')])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('choose another'),
    });
    api.lines('POST /v1/functions/my-first/builds', [{ type: 'log', line: 'step \u001b[1m1' }, done('my-first')]);
    const deployed = await connected(['deploy', folder]);
    expect(deployed.code).toBe(0);
    expect(JSON.parse(deployed.stdout)).toMatchObject({ function: 'my-first', version: 3, changed: true });
    expect(deployed.stderr).toMatch(/^my-first \+\d+\.\ds {2}step \\x1b\[1m1$/m);
    const sent = api.seen.at(-1);
    expect(gunzipSync(sent?.body ?? Buffer.alloc(0)).toString('latin1')).toContain('export const hello');
  });

  it('shows version, digest, address, durations and the way back', async () => {
    writeFileSync(join(root, 'index.js'), '');
    api.lines('POST /v1/functions/hello/builds', [done('hello')]);
    const { stdout } = await connected(['deploy', root, '--name', 'hello', '-o', 'text']);
    for (const shown of ['v3', 'bbbbbbbbbbbb', 'http://localhost:8080/fn/hello/', '1.2 s', '300 ms', 'kiln rollback hello'])
      expect(stdout).toContain(shown);
  });

  it('deploys every function of a kiln.json and ends with 1 when one fails', async () => {
    writeFileSync(join(root, 'index.js'), '');
    writeFileSync(join(root, 'kiln.json'), JSON.stringify({ functions: [{ name: 'a' }, { name: 'b' }] }));
    api.lines('POST /v1/functions/a/builds', [{ type: 'failed', code: 'start_failed', detail: 'it threw at line 1' }]);
    api.lines('POST /v1/functions/b/builds', [done('b')]);
    const { code, stdout, stderr } = await connected(['deploy', root]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ function: 'b', version: 3 });
    expect(stderr).toContain('a was not deployed');
    expect(stderr).toContain('it threw at line 1');
    expect(stderr).toContain('kiln logs a');
  });

  it('ends with the code of the one error of the one function', async () => {
    writeFileSync(join(root, 'index.js'), '');
    api.fail('POST /v1/functions/hello/builds', 'unavailable', 'the store is away');
    const { code, stderr } = await connected(['deploy', root, '--name', 'hello', '-o', 'json']);
    expect(code).toBe(3);
    expect(JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ error: { code: 'unavailable' } });
  });

  it('sends nothing of a broken folder', async () => {
    const broken: [string, () => void][] = [
      ['can be run', () => {}],
      ['is not JSON', () => writeFileSync(join(root, 'kiln.json'), '{,}')],
      ['did you mean "memory"', () => writeFileSync(join(root, 'kiln.json'), '{"name":"x","memroy":1}')],
      [
        'links',
        () => {
          rmSync(join(root, 'kiln.json'));
          symlinkSync('/etc', join(root, 'etc'));
        },
      ],
    ];
    for (const [message, spoil] of broken) {
      spoil();
      const { code, stderr } = await connected(['deploy', root, '--name', 'x']);
      expect(code).toBe(1);
      expect(stderr).toContain(message);
      expect(stderr).toContain('next: ');
    }
    expect(api.seen).toEqual([]);
  });
});

describe('invoke', () => {
  const echo = (route: string, status = 200, headers: Record<string, string> = {}) =>
    api.routes.set(route, ({ body, headers: got }, response) => {
      response
        .writeHead(status, headers)
        .end(Buffer.concat([Buffer.from(`${got['authorization'] ?? 'no key'} ${got['content-type'] ?? '-'} `), body]));
    });

  it('streams the body as it is, and sends no key that was not asked for', async () => {
    api.routes.set('GET /fn/hello/', (_request, response) => void response.end(Buffer.from([0, 255, 27, 10])));
    const { code, bytes, stderr } = await connected(['invoke', 'hello']);
    expect({ code, bytes: [...bytes], stderr }).toEqual({ code: 0, bytes: [0, 255, 27, 10], stderr: '' });
    expect(api.seen.at(-1)?.headers.authorization).toBeUndefined();
  });

  it('sends the key to a function that wants one', async () => {
    api.json('GET /v1/functions/hello/versions', { items: [api.version('key')], next: null });
    echo('GET /fn/hello/');
    expect((await connected(['invoke', 'hello'])).stdout).toBe(`Bearer ${KEY} - `);
  });

  it('sends data, headers and the path byte for byte', async () => {
    echo('POST /fn/hello@2/a/../%2Fb');
    expect((await connected(['invoke', 'hello@2', '/a/../%2Fb?x=%20', '-d', '{"a":1}'])).stdout).toBe('no key application/json {"a":1}');
    expect(api.seen.at(-1)?.path).toBe('/fn/hello@2/a/../%2Fb?x=%20');
    echo('PUT /fn/hello/');
    const args = ['invoke', 'hello', '-X', 'put', '-d', '-', '-H', 'Content-Type: text/x', '-H', 'Authorization: mine'];
    expect((await connected(args, { stdin: 'from stdin' })).stdout).toBe('mine text/x from stdin');
    const file = join(root, 'data');
    writeFileSync(file, 'from file');
    echo('POST /fn/hello/');
    expect((await connected(['invoke', 'hello', '-d', `@${file}`])).stdout).toBe('no key application/octet-stream from file');
  });

  it('shows the head on stderr with -i, and all of it as JSON', async () => {
    echo('GET /fn/hello/', 201, { 'x-kiln-start': 'warm' });
    expect((await connected(['invoke', 'hello', '-i'])).stderr).toMatch(/^201 Created\nx-kiln-start: warm\n/);
    expect(JSON.parse((await connected(['invoke', 'hello', '-o', 'json'])).stdout)).toMatchObject({ status: 201, body: 'no key - ' });
  });

  it.each([
    [404, {}, 1],
    [500, { 'x-kiln-error': 'function_error' }, 1],
    [503, { 'x-kiln-error': 'no_capacity' }, 3],
    [429, { 'x-kiln-error': 'concurrency_limit' }, 3],
    [404, { 'x-kiln-error': 'function_not_found' }, 5],
    [401, { 'x-kiln-error': 'unauthorized' }, 4],
  ])('ends an answer of %i %j with %i, its body on stdout', async (status, headers, exitCode) => {
    echo('GET /fn/hello/', status, headers as Record<string, string>);
    const { code, stdout, stderr } = await connected(['invoke', 'hello']);
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: 'no key - ' });
    expect(stderr).toContain(`hello answered ${status}`);
  });

  it('tells what Kiln answered in the function’s place', async () => {
    api.fail('GET /fn/hello/', 'function_timeout', 'it ran for longer than 15000 ms');
    const { code, stderr } = await connected(['invoke', 'hello']);
    expect(code).toBe(1);
    expect(stderr).toContain('hello answered 504 (function_timeout)');
    expect(stderr).toContain('it ran for longer than 15000 ms');
    expect(stderr).toContain('next: raise timeout in kiln.json');
  });

  it('fails when the answer breaks off', async () => {
    api.routes.set('GET /fn/hello/', (_request, response) => {
      response.writeHead(200, { 'content-length': '10' });
      response.write('abc', () => response.destroy());
    });
    expect(await connected(['invoke', 'hello'])).toMatchObject({
      code: 1,
      stdout: 'abc',
      stderr: expect.stringContaining('the connection broke'),
    });
  });

  it('lets no answer steer the terminal', async () => {
    api.routes.set('GET /fn/hello/', (_request, response) => void response.end('\u001b]0;x\u0007'));
    expect((await connected(['invoke', 'hello'], { typed: '' })).stdout).toBe('\\x1b]0;x\\x07\n');
  });
});

describe('logs', () => {
  const line = { time: '2030-01-01T00:00:00.000Z', function: 'hello', version: 2, node: 'node-1', instance: 'i', level: 'info' };

  it('prints a line each, in JSON or as text', async () => {
    api.lines('GET /v1/functions/hello/logs', [
      { ...line, requestId: 'r1', message: 'one' },
      { ...line, message: '\u001b[2J' },
    ]);
    const piped = await connected(['logs', 'hello', '--level', 'info', '--request-id', 'r1', '--since', '10m']);
    expect(
      piped.stdout
        .trimEnd()
        .split('\n')
        .map((text) => (JSON.parse(text) as { message: string }).message),
    ).toEqual(['one', '\u001b[2J']);
    const query = new URLSearchParams(api.seen.at(-1)?.path.split('?')[1]);
    expect(query.get('requestId')).toBe('r1');
    expect(query.get('level')).toBe('info');
    expect(Date.now() - Date.parse(query.get('since') ?? '')).toBeGreaterThan(599_000);
    const shown = await connected(['logs', 'hello', '-o', 'text']);
    expect(shown.stdout).toBe('2030-01-01T00:00:00.000Z info  v2 r1 one\n2030-01-01T00:00:00.000Z info  v2 \\x1b[2J\n');
  });
});

describe('rollback', () => {
  const view = {
    name: 'hello',
    revision: 7,
    lastVersion: 3,
    traffic: [{ version: 2, weight: 100 }],
    previousTraffic: [{ version: 3, weight: 100 }],
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
    url: 'http://localhost:8080/fn/hello/',
    home: 'node-1',
  };

  it('goes back to what was before, or to the version named, and says where that is', async () => {
    api.json('POST /v1/functions/hello/rollback', view);
    const back = await connected(['rollback', 'hello', '-o', 'text']);
    expect(back).toMatchObject({ code: 0, stdout: 'hello is back at v2\n' });
    expect(JSON.parse(String(api.seen.at(-1)?.body))).toEqual({});
    await connected(['rollback', 'hello@2']);
    expect(JSON.parse(String(api.seen.at(-1)?.body))).toEqual({ version: 2 });
  });

  it('refuses what names no version before anything is sent', async () => {
    expect((await connected(['rollback', 'hello@latest'])).code).toBe(2);
    expect(api.seen).toEqual([]);
  });
});
