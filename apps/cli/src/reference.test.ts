import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ERRORS, type ErrorCode } from '@kiln/contract/errors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlApi, KEY, kiln } from './control-api.fixture.js';
import { EXIT, exitCodeOf } from './failure.js';

const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/reference/cli.md'), 'utf8');

/** The cells of each row of the table below a heading. */
function rowsOf(heading: string): string[][] {
  const [, section = ''] = PAGE.split(`## ${heading}\n`);
  const rows = (section.split('\n## ')[0] ?? '').split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

const named = (cell: string | undefined) => [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name as string);

describe('the page of exit codes', () => {
  it('has every one, and the errors that end with it', () => {
    const rows = rowsOf('Exit codes');
    expect(rows.map(([code]) => Number(code))).toEqual(Object.values(EXIT));
    for (const [exitCode, , codes] of rows) {
      const ending = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => exitCodeOf(code) === Number(exitCode));
      if (Number(exitCode) === EXIT.failed) expect(codes).toBe('all others');
      else expect(named(codes).sort()).toEqual(ending.sort());
    }
  });
});

describe('the page of JSON', () => {
  let api: ControlApi;
  let folder: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kiln-reference-'));
    api = new ControlApi();
    await api.listen();
    answerAll(api);
  });
  afterEach(async () => {
    await api.close();
    rmSync(folder, { recursive: true });
  });

  const rows = rowsOf('JSON').map(([command, form, keys]) => ({ command: named(command)[0] as string, form, keys: named(keys) }));
  /** What runs an engine, a cluster or a server of its own, and what prints no JSON. */
  const elsewhere = ['up', 'down', 'dev', 'build'];
  const withoutJson = ['help'];

  it('names every command', async () => {
    const told = new Set(rows.map(({ command }) => command.split(' ')[0]));
    const names = (await kiln(['--help'])).stdout.matchAll(/^ {2}(\w+) .*/gm);
    const commands = [...names].map(([, name]) => name as string);
    expect([...told].sort()).toEqual(commands.filter((name) => !withoutJson.includes(name)).sort());
  });

  it.each(rows.filter(({ command }) => !elsewhere.includes(command.split(' ')[0] as string)))(
    '$command',
    async ({ command, form, keys }) => {
      const args = command.replace('<dir>', join(folder, 'made')).split(' ');
      if (args[0] === 'deploy') await kiln(['init', join(folder, 'made')]);
      const { stdout, stderr } = await kiln([...args, '-o', 'json'], {
        env: { KILN_URL: api.url, KILN_API_KEY: KEY, KILN_HOME: folder },
        stdin: 'value',
      });
      expect(stdout.endsWith('\n'), stderr).toBe(true);
      const parsed = JSON.parse(stdout) as object | object[];
      expect(Array.isArray(parsed)).toBe(form === 'list');
      const found = Object.keys((Array.isArray(parsed) ? parsed[0] : parsed) ?? {});
      const required = keys.filter((key) => !key.endsWith('?'));
      expect(found).toEqual(expect.arrayContaining(required));
      expect(found.filter((key) => !required.includes(key) && !keys.includes(`${key}?`))).toEqual([]);
    },
  );
});

function answerAll(api: ControlApi): void {
  const deployed = { function: 'hello', version: 3, digest: 'sha256:1', url: 'http://x/', changed: true };
  const secret = { name: 'TOKEN', revision: 1, createdAt: '2030-01-01T00:00:00Z', updatedAt: '2030-01-01T00:00:00Z' };
  const key = { id: 'id', name: 'ci', scopes: ['read'], createdAt: '2030-01-01T00:00:00Z' };
  const rollout = { version: 2, state: 'done', stages: [], stage: 0, startedAt: '2030-01-01T00:00:00Z' };
  const list = (item: unknown) => ({ items: [item], next: null });
  api.json('PATCH /v1/functions/hello', deployed);
  api.json('GET /v1/functions/hello/traffic', [{ version: 2, weight: 100 }]);
  api.json('PUT /v1/functions/hello/traffic', [{ version: 2, weight: 100 }]);
  api.json('POST /v1/functions/hello/rollback', api.functionView());
  api.json('POST /v1/functions/hello/rollout', { ...api.functionView(), rollout });
  api.json('PUT /v1/functions/hello/versions/2/pin', { ...api.version(), pinned: true });
  api.json('DELETE /v1/functions/hello', undefined, 204);
  api.lines('POST /v1/functions/made/builds', [{ type: 'done', ...deployed, function: 'made' }]);
  const line = { time: 't', function: 'hello', version: 2, node: 'n', instance: 'i', level: 'info', message: 'm', requestId: 'r' };
  api.lines('GET /v1/functions/hello/logs', [line]);
  api.json('GET /v1/secrets', list(secret));
  for (const route of ['PUT /v1/secrets', 'PUT /v1/secrets/TOKEN', 'PATCH /v1/secrets', 'POST /v1/secrets'])
    api.json(route, { secrets: [secret], functions: [] });
  api.json('DELETE /v1/secrets/TOKEN', undefined, 204);
  api.json('POST /v1/secrets/rotate', { keyId: 'k', resealed: 1, unreadable: [] });
  api.json('GET /v1/keys', list(key));
  api.json('POST /v1/keys', { ...key, apiKey: 'k' });
  api.json('DELETE /v1/keys/id', undefined, 204);
  api.json('POST /v1/nodes/node-1/drain', undefined, 204);
  api.json('DELETE /v1/nodes/node-1/drain', undefined, 204);
  api.json('GET /fn/hello/', { hello: 'world' });
}
