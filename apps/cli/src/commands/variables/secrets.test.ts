import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resolveConfig } from '@kiln/contract/config/function-config';
import { beforeEach, describe, expect, it } from 'vitest';
import { type RunOptions } from '../../control-api.fixture.js';
import { api, connected, root, withControlApi } from '../../with-control-api.fixture.js';

withControlApi();

function write(name: string, content: string | Buffer): string {
  const file = join(root, name);
  writeFileSync(file, content);
  return file;
}

const sent = () => JSON.parse(String(api.seen.at(-1)?.body)) as unknown;
const TIME = '2030-01-01T00:00:00.000Z';
const TOKEN = { name: 'TOKEN', revision: 2, createdAt: TIME, updatedAt: TIME };
const stored = (...functions: object[]) => api.json('PATCH /v1/secrets', { secrets: [TOKEN], functions });

describe('secrets set', () => {
  it('reads the value from stdin, from a file, or from a terminal that does not show it', async () => {
    stored({ function: 'hello', versions: [3] });
    const piped = await connected(['secrets', 'set', 'TOKEN', '-'], { stdin: 'hunter2\n' });
    expect(piped.code).toBe(0);
    expect(sent()).toEqual({ values: { TOKEN: 'hunter2' } });
    await connected(['secrets', 'set', 'TOKEN', '--file', write('key', 'line one\nline two\r\n')]);
    expect(sent()).toEqual({ values: { TOKEN: 'line one\nline two' } });
    const typed = await connected(['secrets', 'set', 'TOKEN'], { typed: 'hunter3\n' });
    expect(sent()).toEqual({ values: { TOKEN: 'hunter3' } });
    expect(typed.stderr).toBe('Value of TOKEN: \n');
    for (const { stdout, stderr } of [piped, typed]) expect(stdout + stderr).not.toContain('hunter');
  });

  it('takes no value from the command, and does not repeat it', async () => {
    for (const args of [
      ['TOKEN', 'hunter2'],
      ['TOKEN=hunter2'],
      ['TOKEN=hunter2', '-'],
      ['TOKEN', 'hunter2', '--file', 'x'],
      ['TOKEN', 'a', 'hunter2'],
    ]) {
      const { code, stdout, stderr } = await connected(['secrets', 'set', ...args]);
      expect([code, stdout + stderr]).toEqual([2, expect.not.stringContaining('hunter2')]);
    }
    expect((await connected(['secrets', 'set', 'TOKEN', 'hunter2'])).stderr).toContain('kiln secrets set TOKEN -');
    expect(api.seen).toEqual([]);
  });

  it.each([
    ['no terminal to ask on', ['TOKEN'], {}, 2],
    ['no value for TOKEN', ['TOKEN', '-'], { stdin: '\n' }, 1],
    ['no value for TOKEN', ['TOKEN'], { typed: '\n' }, 1],
    ['can’t be a variable', ['A-B', '-'], { stdin: 'x' }, 2],
    ['cannot read', ['TOKEN', '--file', '/nowhere/at/all'], {}, 2],
    ['both - and --file', ['TOKEN', '-', '--file', 'x'], {}, 2],
  ] as [string, string[], RunOptions, number][])('sends nothing where there is %s: %j', async (message, args, options, exitCode) => {
    const { code, stderr } = await connected(['secrets', 'set', ...args], options);
    expect(code).toBe(exitCode);
    expect(stderr.replaceAll("'", '’')).toContain(message);
    expect(api.seen).toEqual([]);
  });

  it('is left with Ctrl-C where it asks, and sends nothing of what was typed', async () => {
    const { code, stdout, stderr } = await connected(['secrets', 'set', 'TOKEN'], { typed: 'hunter2\u0003' });
    expect([code, stdout + stderr]).toEqual([130, expect.not.stringContaining('hunter')]);
    expect(api.seen).toEqual([]);
  });

  it('refuses what is no text, or too much', async () => {
    expect((await connected(['secrets', 'set', 'TOKEN', '-f', write('binary', Buffer.from([0xff, 0xfe]))])).stderr).toContain('not UTF-8');
    expect((await connected(['secrets', 'set', 'TOKEN', '-f', write('large', Buffer.alloc(1_048_577, 97))])).stderr).toContain(
      'longer than',
    );
    expect(api.seen).toEqual([]);
  });

  it('says what became of the functions, and ends with 1 when one serves on as before', async () => {
    stored({ function: 'a', versions: [3] }, { function: 'b', failed: { code: 'start_failed', detail: 'exit code 1' } });
    const { code, stdout, stderr } = await connected(['secrets', 'set', 'TOKEN', '-', '-o', 'text'], { stdin: 'x' });
    expect(code).toBe(1);
    expect(stdout).toMatch(/TOKEN +2/);
    expect(stdout).toMatch(/a +v3\nb +as before: exit code 1/);
    expect(stderr).toContain('b could not start with it, and serve as before');
  });
});

describe('secrets', () => {
  it('import stores all of a file in one change', async () => {
    stored();
    const file = write('.env', '# a comment\nA=1\nexport B="two words"\nC=\'x=y\'\n');
    expect((await connected(['secrets', 'import', file])).code).toBe(0);
    expect(sent()).toEqual({ values: { A: '1', B: 'two words', C: 'x=y' } });
    expect(api.seen).toHaveLength(1);
    await connected(['secrets', 'import', '-'], { stdin: 'D=4' });
    expect(sent()).toEqual({ values: { D: '4' } });
    expect((await connected(['secrets', 'import', write('empty', '# nothing\n')])).code).toBe(2);
    expect((await connected(['secrets', 'import', write('bad', 'a-b=1\n')])).code).toBe(2);
  });

  it('ls shows names and revisions', async () => {
    api.json('GET /v1/secrets', { items: [TOKEN], next: null });
    expect(JSON.parse((await connected(['secrets', 'ls'])).stdout)).toEqual([TOKEN]);
    expect((await connected(['secrets', 'ls', '-o', 'text'])).stdout).toMatch(/^SECRET +REVISION +AGE +CHANGED\nTOKEN +2/);
  });

  it('rm asks, or wants --yes, and passes the functions that use it on', async () => {
    api.json('GET /v1/secrets', { items: [TOKEN], next: null });
    expect((await connected(['secrets', 'rm', 'NO_SUCH'])).code).toBe(5);
    expect((await connected(['secrets', 'rm', 'TOKEN'])).code).toBe(2);
    api.fail('DELETE /v1/secrets/TOKEN', 'conflict', 'the secret TOKEN is used by hello');
    const refused = await connected(['secrets', 'rm', 'TOKEN', '--yes']);
    expect([refused.code, refused.stderr]).toEqual([6, expect.stringContaining('used by hello')]);
    api.json('DELETE /v1/secrets/TOKEN', undefined, 204);
    expect((await connected(['secrets', 'rm', 'TOKEN', '--yes'])).stdout).toContain('"removed":true');
  });

  it('rotate says how many, and which none of the keys opens', async () => {
    api.json('POST /v1/secrets/rotate', { keyId: 'abc', resealed: 3, unreadable: [] });
    expect((await connected(['secrets', 'rotate', '-o', 'text'])).stdout).toContain('3 values sealed again');
    api.json('POST /v1/secrets/rotate', { keyId: 'abc', resealed: 3, unreadable: ['A@1'] });
    expect(await connected(['secrets', 'rotate'])).toMatchObject({ code: 1, stderr: expect.stringContaining('A@1') });
  });
});

describe('env', () => {
  const done = { function: 'hello', version: 3, digest: 'd', url: 'u', changed: true, rollback: 'kiln rollback hello' };

  beforeEach(() => {
    const config = { ...resolveConfig({}, 'runner'), env: { GREETING: 'Hi', COLOUR: 'red' }, secrets: ['TOKEN'] };
    const serving = { ...api.version(), config, secretRevisions: { TOKEN: 4 } };
    api.json('GET /v1/functions/hello/versions', { items: [{ ...api.version(), version: 1 }, serving], next: null });
    api.json('PATCH /v1/functions/hello', done);
  });

  it('shows the variables of the version that serves, and of secrets the names', async () => {
    expect((await connected(['env', 'hello', '-o', 'text'])).stdout).toBe(
      'VARIABLE OF V2  VALUE\nCOLOUR          red\nGREETING        Hi\nTOKEN           (secret, revision 4)\n',
    );
    expect(JSON.parse((await connected(['env', 'hello', 'ls'])).stdout)).toEqual({
      function: 'hello',
      version: 2,
      env: { GREETING: 'Hi', COLOUR: 'red' },
      secrets: ['TOKEN'],
    });
    expect((await connected(['inspect', 'hello', '-o', 'text'])).stdout).toContain('TOKEN           (secret, revision 4)');
  });

  it('changes several at once, from what it has seen and from nothing newer', async () => {
    const { code, stdout } = await connected(['env', 'hello', 'set', 'GREETING=a=b', 'EMPTY=', '-o', 'text']);
    expect([code, stdout]).toEqual([0, 'hello serves the new variables as version 3; undo: kiln rollback hello\n']);
    expect(sent()).toEqual({ config: { env: { GREETING: 'a=b', COLOUR: 'red', EMPTY: '' } } });
    expect(api.seen.at(-1)?.headers['if-match']).toBe('"4"');
    await connected(['env', 'hello', 'rm', 'COLOUR']);
    expect(sent()).toEqual({ config: { env: { GREETING: 'Hi' } } });
    await connected(['env', 'hello', 'import', write('one', 'A=1\nCOLOUR=blue\n'), write('two', 'A=2\n')]);
    expect(sent()).toEqual({ config: { env: { GREETING: 'Hi', COLOUR: 'blue', A: '2' } } });
  });

  it.each([
    [['hello', 'rm', 'NOPE'], 5],
    [['hello', 'set', 'NO'], 2],
    [['hello', 'set', 'A-B=1'], 2],
    [['hello', 'set'], 2],
    [['hello', 'ls', 'x'], 2],
    [['hello', 'put', 'A=1'], 2],
    [['Hello'], 2],
  ])('%j changes nothing and ends with %i', async (args, exitCode) => {
    expect((await connected(['env', ...args])).code).toBe(exitCode);
    expect(api.seen.filter(({ method }) => method !== 'GET')).toEqual([]);
  });
});
