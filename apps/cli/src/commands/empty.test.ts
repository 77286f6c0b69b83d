import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlApi, KEY, kiln, type RunOptions } from '../control-api.fixture.js';

let api: ControlApi;
beforeEach(async () => {
  api = new ControlApi();
  await api.listen();
});
afterEach(() => api.close());

const connected = (args: string[], { env, ...options }: RunOptions = {}) =>
  kiln(args, { ...options, env: { KILN_URL: api.url, KILN_API_KEY: KEY, KILN_HOME: '/nowhere', ...env } });

describe('what is empty is said, with what to do, and its JSON stays valid', () => {
  it.each([
    [['ls'], 'GET /v1/functions', 'no functions yet; next: kiln init hello'],
    [['secrets', 'ls'], 'GET /v1/secrets', 'no secrets yet; next: kiln secrets set <NAME>'],
    [['keys', 'ls'], 'GET /v1/keys', 'next: kiln keys create'],
    [['nodes', 'ls'], 'GET /v1/nodes', 'no nodes: nothing can run; next: kiln up'],
    [['versions', 'hello'], 'GET /v1/functions/hello/versions', 'hello has no version; next: kiln deploy'],
    [['traffic', 'hello'], 'GET /v1/functions/hello/traffic', 'no version of hello has traffic; next: kiln versions hello'],
  ])('%j', async (args, route, said) => {
    api.json(route, route.endsWith('traffic') ? [] : { items: [], next: null });
    const piped = await connected(args);
    expect(piped).toMatchObject({ code: 0, stdout: '[]\n', stderr: expect.stringContaining(said) });
    const shown = await connected([...args, '-o', 'text'], { env: { KILN_COMMAND: 'npx kiln' } });
    expect(shown).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('next: npx kiln ') });
  });

  it('the variables of a function', async () => {
    const piped = await connected(['env', 'hello']);
    expect([piped.code, JSON.parse(piped.stdout)]).toEqual([0, { function: 'hello', version: 2, env: {}, secrets: [] }]);
    expect(piped.stderr).toContain('hello has no variables and no secrets; next: kiln env hello set NAME=value');
    expect((await connected(['env', 'hello', '-o', 'text'])).stdout).toBe('');
  });

  it.each([
    [[], 'hello has logged nothing yet'],
    [['--request-id', '7b1c'], 'no line of hello belongs to the request 7b1c (give the whole id)'],
    [
      ['--since', '10m', '--level', 'error'],
      'hello has logged nothing since 10m, of level error or above; show all lines: kiln logs hello',
    ],
  ])('the log with %j', async (args, said) => {
    api.lines('GET /v1/functions/hello/logs', []);
    expect(await connected(['logs', 'hello', ...args])).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining(said) });
  });

  it('logs -f ends quietly with 130 at Ctrl-C', async () => {
    const interrupted = new AbortController();
    api.routes.set('GET /v1/functions/hello/logs', (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write(`${JSON.stringify({ time: 't', level: 'info', version: 1, message: 'one' })}\n`);
      setTimeout(() => interrupted.abort('SIGINT'), 100);
    });
    const ran = await connected(['logs', '-f', 'hello'], { interrupted: interrupted.signal });
    expect([ran.code, ran.stderr]).toEqual([130, '']);
    expect(JSON.parse(ran.stdout)).toMatchObject({ message: 'one' });
  });
});
