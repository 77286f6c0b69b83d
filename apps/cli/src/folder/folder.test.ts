import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { suggestName } from '@kiln/contract/names';
import { extract } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tell } from '../failure.js';
import { checkBuildable } from './check-buildable.js';
import { hashFiles } from './hash-files.js';
import { listFiles } from './list-files.js';
import { packFiles } from './pack.js';
import { readProject } from './project.js';

let root: string;

beforeEach(() => {
  root = join(mkdtempSync(join(tmpdir(), 'kiln-cli-')), 'hello');
  mkdirSync(root);
});

afterEach(() => {
  rmSync(dirname(root), { recursive: true, force: true });
});

function write(files: Record<string, string>, folder = root): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

const hashed = async () => hashFiles(await listFiles(root));
const paths = async () => (await listFiles(root)).map(({ path }) => path);

async function refusal(action: () => Promise<unknown>) {
  try {
    await action();
  } catch (error) {
    return tell(error);
  }
  throw new Error('was not refused');
}

describe('listFiles', () => {
  it('leaves out .git, node_modules and .env wherever they are, and sorts the rest', async () => {
    write({ 'b.js': '', 'a/node_modules/x.js': '', 'a/c.js': '', '.git/HEAD': '', 'node_modules/y.js': '' });
    write({ '.env': '', 'a/.env.local': '', 'a/.env.test.local': '', '.env.production': '' });
    expect(await paths()).toEqual(['.env.production', 'a/c.js', 'b.js']);
    write({ '.kilnignore': '!.env\n' });
    expect(await paths()).toContain('.env');
  });

  it('reads .dockerignore from the root and .kilnignore as git does', async () => {
    write({ '.dockerignore': '*.md\nsecret\n!README.md\n', '.kilnignore': '*.log\n', 'README.md': '', 'x.md': '', 'd/x.md': '' });
    write({ 'secret/a': '', 'd/secret': '', 'd/e.log': '', 'index.js': '' });
    expect(await paths()).toEqual(['.dockerignore', '.kilnignore', 'README.md', 'd/secret', 'd/x.md', 'index.js']);
  });

  it('sends kiln.json and the Dockerfile whatever is ignored', async () => {
    write({ '.kilnignore': '*\n', 'kiln.json': '{}', Dockerfile: '', 'x.js': '' });
    expect(await paths()).toEqual(['Dockerfile', 'kiln.json']);
  });

  it('leaves out what tools make anew, and what is this machine’s own', async () => {
    write({
      'app.py': '',
      '__pycache__/app.pyc': '',
      'd/x.pyc': '',
      '.venv/bin/python': '',
      'venv/x': '',
      '.DS_Store': '',
      '.env.local': '',
    });
    symlinkSync('/usr/bin/python3', join(root, '.venv/bin/python3'));
    expect(await paths()).toEqual(['app.py']);
  });

  it('lets node_modules be asked for', async () => {
    write({ '.kilnignore': '!node_modules\n', 'node_modules/x.js': '' });
    expect(await paths()).toContain('node_modules/x.js');
  });

  it('refuses links and names them, unless they are ignored', async () => {
    write({ 'index.js': '', 'old/x': '' });
    symlinkSync('/etc/passwd', join(root, 'passwords'));
    symlinkSync('index.js', join(root, 'old', 'also'));
    const told = await refusal(() => listFiles(root));
    expect(told).toMatchObject({ exitCode: 1, fix: expect.stringContaining('.kilnignore') });
    expect(told.message).toContain('passwords');
    expect(told.message).toContain('old/also');
    write({ '.kilnignore': 'passwords\nold\n' });
    expect(await paths()).toEqual(['.kilnignore', 'index.js']);
  });
});

describe('packFiles', () => {
  async function unpack(packed: Buffer) {
    const entries: Record<string, unknown> = {};
    const reader = extract();
    reader.end(gunzipSync(packed));
    for await (const entry of reader) {
      const { name, mode, mtime, uid } = entry.header;
      entries[name] = { mode, time: Number(mtime), uid, size: (await buffer(entry)).length };
    }
    return entries;
  }

  it('packs content and the executable mark, and nothing of who packed it and when', async () => {
    write({ 'index.js': 'export {}', 'run.sh': '#!/bin/sh\n', empty: '' });
    write({ 'big.bin': 'x'.repeat(3_000_000) });
    chmodSync(join(root, 'run.sh'), 0o777);
    const first = await buffer(packFiles(await hashed()));
    expect(await unpack(first)).toEqual({
      'big.bin': { mode: 0o644, time: 0, uid: 0, size: 3_000_000 },
      empty: { mode: 0o644, time: 0, uid: 0, size: 0 },
      'index.js': { mode: 0o644, time: 0, uid: 0, size: 9 },
      'run.sh': { mode: 0o755, time: 0, uid: 0, size: 10 },
    });
    utimesSync(join(root, 'index.js'), 1, 1);
    expect((await buffer(packFiles(await hashed()))).equals(first)).toBe(true);
  });

  it('puts a given kiln.json in place of the folder’s, or beside the rest', async () => {
    write({ 'index.js': '' });
    const replaced = new Map([['kiln.json', '{"name":"x"}']]);
    expect(Object.keys(await unpack(await buffer(packFiles(await hashed(), replaced))))).toEqual(['kiln.json', 'index.js']);
    write({ 'kiln.json': '{}' });
    expect(await unpack(await buffer(packFiles(await hashed(), replaced)))).toMatchObject({ 'kiln.json': { size: 12 } });
  });

  it('fails when a file was changed meanwhile', async () => {
    write({ 'index.js': 'x'.repeat(100) });
    const files = await hashed();
    for (const content of ['x', 'y'.repeat(100)]) {
      write({ 'index.js': content });
      await expect(buffer(packFiles(files))).rejects.toThrow(/changed while it was packed/);
    }
  });

  it('sends of a file that grows as much as was there', async () => {
    write({ 'index.js': 'x'.repeat(100) });
    const files = await hashed();
    write({ 'index.js': 'x'.repeat(200) });
    expect(await unpack(await buffer(packFiles(files)))).toMatchObject({ 'index.js': { size: 100 } });
  });
});

describe('readProject', () => {
  it('takes the name of the folder', async () => {
    expect((await readProject(root)).functions).toEqual([{ name: 'hello', config: {} }]);
  });

  it('suggests a name where the folder’s can be none', async () => {
    const folder = join(dirname(root), 'My App_2');
    mkdirSync(folder);
    const told = await refusal(() => readProject(folder));
    expect(told.message).toContain('"My App_2"');
    expect(told.fix).toContain('my-app-2');
  });

  it('gives a single function another name, in kiln.json too', async () => {
    write({ 'kiln.json': '{"name":"a","timeout":5}' });
    const project = await readProject(root, 'b');
    expect(project.functions).toEqual([{ name: 'b', config: { timeout: 5 } }]);
    expect(JSON.parse(project.kilnJson ?? '')).toEqual({ name: 'b', timeout: 5 });
  });

  it.each([
    ['{', 'is not JSON'],
    ['[]', 'does not hold an object'],
    ['{"timout":1}', 'did you mean "timeout"'],
    ['{"timeout":"5"}', 'kiln.json.timeout must be a whole number of ms, 1 to 900000, and is the text "5"'],
    ['{"name":"My App"}', 'write "name": "my-app"'],
    ['{"functions":[{"name":"a"}],"timeout":5}', 'stands beside "functions"'],
    ['{"functions":[{"name":"a"},{"name":"a"}]}', 'declared twice'],
  ])('refuses kiln.json %s', async (content, message) => {
    write({ 'kiln.json': content });
    const told = await refusal(() => readProject(root));
    expect(told.message).toContain(message);
    expect(told.exitCode).toBe(1);
    expect(told.fix).not.toBe('');
  });

  it('names the key that was meant before it asks for a name', async () => {
    const odd = join(root, 'My App');
    mkdirSync(odd);
    writeFileSync(join(odd, 'kiln.json'), '{"nmae":"shop"}');
    expect((await refusal(() => readProject(odd))).message).toContain('kiln.json.nmae is not a known key; did you mean "name"?');
  });

  it('takes a folder that is not there as wrong usage', async () => {
    expect(await refusal(() => readProject(join(root, 'nope')))).toMatchObject({ exitCode: 2, message: expect.stringContaining('nope') });
  });

  it.each([
    ['My App', 'my-app'],
    ['Ünïcode', 'unicode'],
    ['123-go', 'go'],
    ['___', 'my-function'],
    [`${'a'.repeat(62)}-b`, 'a'.repeat(62)],
  ])('suggests for %s', (given, suggested) => {
    expect(suggestName(given)).toBe(suggested);
  });
});

describe('checkBuildable', () => {
  const check = async () => checkBuildable(await readProject(root), await listFiles(root));

  it.each([
    [{ Dockerfile: 'FROM x' }],
    [{ 'index.js': '' }],
    [{ 'index.mjs': '' }],
    [{ 'function.js': '' }],
    [{ 'package.json': '{"main":"gone.js"}', 'index.js': '' }],
    [{ 'kiln.json': '{"entry":"src"}', 'src/index.js': '' }],
    [{ 'package.json': '{"main":"./src/app"}', 'src/app.js': '' }],
    [{ 'kiln.json': '{"entry":"a.js"}', 'a.js': '' }],
    [{ 'handler.py': 'def handler(event): pass' }],
    [{ 'index.html': '' }],
    [{ 'package.json': '{"scripts":{"start":"node dist/main.js"}}' }],
  ])('takes %j', async (files) => {
    write(files as unknown as Record<string, string>);
    await expect(check()).resolves.toBeUndefined();
  });

  it.each([
    [{}, 'it is empty'],
    [{ 'README.md': '' }, 'looked for a Dockerfile'],
    [{ 'package.json': '{}' }, 'looked for a Dockerfile'],
    [{ 'package.json': '{' }, 'is not JSON'],
    [{ 'package.json': '{"main":"gone.js"}' }, 'gone.js (main in package.json)'],
    [{ 'package.json': '{"main":"../hello.js"}' }, 'looked for a Dockerfile'],
    [{ 'kiln.json': '{"entry":"gone.js"}', 'index.js': '' }, 'entry of "hello" is gone.js'],
    [{ 'kiln.json': '{"entry":"a.js"}', 'a.js': '', '.kilnignore': 'a.js' }, 'would not be sent'],
  ])('refuses %j and says what to do', async (files, message) => {
    write(files as unknown as Record<string, string>);
    const told = await refusal(check);
    expect(told.message).toContain(message);
    expect(told.exitCode).toBe(1);
    expect(told.fix.length).toBeGreaterThan(10);
  });
});
