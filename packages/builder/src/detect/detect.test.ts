import { describe, expect, it } from 'vitest';
import { contextHash } from '../context.js';
import { definedIn } from '../python/names.js';
import { chooseHandler, declaredConfig, mergeConfig } from '../source/declared.js';
import { folder, GIVEN, planOf } from '../source/source.fixture.js';
import { detect } from './detect.js';
import { dockerfileText } from './detector.js';
import { remoteSources } from './dockerfile.js';

const dockerfileOf = async (contents: Record<string, string>) => (await planOf(contents)).text;

describe('detect', () => {
  it('takes a Dockerfile as it is, whatever else is there', async () => {
    const plan = await detect(folder({ Dockerfile: 'FROM debian:trixie-slim\n', 'index.js': '' }), {});
    expect([plan.kind, plan.baseImages, plan.dockerfile]).toEqual(['http', [], undefined]);
  });

  it.each([
    ['index.js', { 'index.js': '' }, undefined, 'index.js'],
    ['function.mjs', { 'function.mjs': '' }, undefined, 'function.mjs'],
    ['main of package.json', { 'package.json': '{"main":"src/app"}', 'src/app.js': '', 'index.js': '' }, undefined, 'src/app.js'],
    ['entry of kiln.json', { 'index.js': '', 'other.js': '' }, './other.js', 'other.js'],
    ['a folder as entry', { 'sub/index.js': '' }, 'sub', 'sub/index.js'],
  ])('finds the module: %s', async (_what, contents, entry, found) => {
    const plan = await detect(folder(contents), entry === undefined ? {} : { entry });
    expect([plan.kind, plan.entry]).toEqual(['runner', found]);
  });

  it.each([
    [
      'nothing',
      { 'main.go': '' },
      {},
      /nothing to build in this folder; looked for a Dockerfile;.* a module: .*index\.js.*; an index\.html/,
    ],
    ['an entry that is not there', { 'index.js': '' }, { entry: 'app.js' }, /the module app\.js/],
    ['an entry outside', { 'index.js': '' }, { entry: '../../../../../../etc/passwd' }, /etc\/passwd/],
    ['a main outside', { 'package.json': '{"main":"/etc/passwd"}', 'a.txt': '' }, {}, /nothing to build/],
    ['a package.json that is no JSON', { 'package.json': '{', 'index.js': '' }, {}, /package\.json is not JSON/],
  ])('refuses %s and says what was looked for', async (_what, contents, config, message) => {
    await expect(detect(folder(contents as Record<string, string>), config)).rejects.toThrowError(message);
  });

  it('installs nothing where nothing is needed', async () => {
    expect(await dockerfileOf({ 'index.js': '', 'package.json': '{"devDependencies":{"x":"1"}}' })).toBe(
      'FROM kiln/runner:x\nCOPY app/ /app/\n',
    );
  });

  it('installs what the lockfile says, before the sources are copied', async () => {
    const text = await dockerfileOf({ 'index.js': '', 'package.json': '{"dependencies":{"x":"1"}}', 'package-lock.json': '{}' });
    expect(text).toMatch(/COPY app\/package\.json app\/package-lock\.json \/app\/\nRUN .*npm ci --omit=dev.*\nCOPY app\/ \/app\/\n/);
  });

  it('copies the sources first where the install may need them', async () => {
    const contents = { 'index.js': '', 'package.json': '{"dependencies":{"x":"file:./x"}}', 'package-lock.json': '{}' };
    expect(await dockerfileOf(contents)).toMatch(/COPY app\/ \/app\/\nRUN .*npm ci/);
  });

  it('installs without a lockfile, and says so', async () => {
    const plan = await detect(folder({ 'index.js': '', 'package.json': '{"dependencies":{"x":"1"}}', 'bun.lock': '' }), {});
    expect(dockerfileText(plan, GIVEN)).toContain('npm install');
    expect(plan.notes.join()).toMatch(/bun\.lock is not read.*newest versions/);
  });
});

describe('detect, for Python,', () => {
  it.each([
    ['handler.py', { 'handler.py': 'def handler(event):\n  return 1' }, {}, ['python', 'handler.py', 'handler', {}]],
    ['an application', { 'app.py': 'app = Flask(__name__)' }, {}, ['python', 'app.py', 'app', { concurrency: 100 }]],
    ['an ASGI application', { 'main.py': 'async def app(scope, receive, send):' }, {}, ['python', 'main.py', 'app', { concurrency: 100 }]],
    [
      'Django',
      { 'manage.py': '', 'site1/wsgi.py': 'application = get_wsgi_application()' },
      {},
      ['python', 'site1/wsgi.py', 'application', { concurrency: 100 }],
    ],
    ['entry of kiln.json', { 'src/x.py': 'def handler(e): pass' }, { entry: './src/x.py' }, ['python', 'src/x.py', 'handler', {}]],
    ['handler of kiln.json', { 'handler.py': '' }, { handler: 'main' }, ['python', 'handler.py', 'main', {}]],
  ])('finds %s', async (_what, contents, config, found) => {
    const plan = await detect(folder(contents as unknown as Record<string, string>), config);
    expect([plan.kind, plan.entry, plan.handler, plan.config]).toEqual(found);
  });

  it.each([
    ['a module that is no application', { 'app.py': 'print(1)' }, {}, /looked for .*handler\.py/],
    ['an entry with none of the names', { 'x.py': 'def main(): pass' }, { entry: 'x.py' }, /x\.py defines none of handler/],
    ['an entry that is no import', { 'a-b.py': 'def handler(e): pass' }, { entry: 'a-b.py' }, /the Python module a-b\.py/],
  ])('refuses %s', async (_what, contents, config, message) => {
    await expect(detect(folder(contents as unknown as Record<string, string>), config)).rejects.toThrowError(message);
  });

  it('installs what requirements.txt names before the sources are copied, or after them where it needs them', async () => {
    const app = { 'app.py': 'app = 1' };
    expect(await dockerfileOf({ ...app, 'requirements.txt': 'flask\n' })).toMatch(
      /COPY app\/requirements.txt \/app\/\nRUN .*pip install.*\nCOPY app\/ \/app\//,
    );
    for (const line of ['./wheels/x-1.whl', '-r more.txt', '--find-links wheels', 'x @ file:wheels/x.whl']) {
      expect(await dockerfileOf({ ...app, 'requirements.txt': `flask\n${line}\n` })).toMatch(/COPY app\/ \/app\/\nRUN .*pip install/);
    }
  });

  it('leaves the serving to a server that requirements.txt names', async () => {
    const uvicorn = await detect(folder({ 'sub/x.py': 'app = 1', 'requirements.txt': 'fastapi\nuvicorn[standard]==1' }), {
      entry: 'sub/x.py',
    });
    expect([uvicorn.kind, uvicorn.config, uvicorn.files]).toEqual(['http', { concurrency: 100 }, undefined]);
    expect(dockerfileText(uvicorn, GIVEN)).toContain('exec python -m uvicorn sub.x:app --host 0.0.0.0 --port $PORT');
    expect(await dockerfileOf({ 'wsgi.py': 'application = 1', 'requirements.txt': 'Gunicorn\n' })).toContain('gunicorn wsgi:application');
  });
});

describe('definedIn', () => {
  it.each([
    'def app(a, b):',
    'async def app(scope, receive, send):',
    'class app:',
    'app = Flask(__name__)',
    'app: Flask = Flask()',
    'from site1 import app',
    'from site1 import db, app  # noqa',
    'from site1 import create as app',
  ])('sees %s', (line) => {
    expect(definedIn(`import os\n${line}\n`, ['app'])).toBe('app');
  });

  it.each(['  app = 1', 'apple = 1', 'app == 1', '# app = 1', 'from app import main', 'x.app = 1'])('sees nothing in %s', (line) => {
    expect(definedIn(line, ['app'])).toBeUndefined();
  });
});

describe('remoteSources', () => {
  it.each([
    ['ADD http://169.254.169.254/latest /x', 'http://169.254.169.254/latest'],
    ['add --chown=1 HTTPS://a/b c /x', 'HTTPS://a/b'],
    ['ADD ["http://a/b", "/x"]', 'http://a/b'],
    ['ADD \\\n# no\n  ht\\\ntp://a/b /x', 'http://a/b'],
    ['# escape=`\nADD `\nhttp://a /x', 'http://a'],
    ['ADD h"tt"p://a /x', 'http://a'],
    ['ADD $SOURCE /x', '$SOURCE'],
    ['ADD h$Ttp:/$Sa /x', 'h$Ttp:/$Sa'],
    ['ONBUILD ADD http://a /x', 'http://a'],
    ['ADD ["http\\u003a//a", "/x"]', 'http://a'],
    ['RUN true\n# escape=`\nADD ht\\\ntp://a /x', 'http://a'],
    ['ADD ./\\\n http://a /x', 'http://a'],
    ['\u0085ADD http://a /x', 'http://a'],
    ['ADD \\\n\n  http://a /x', 'http://a'],
  ])('finds %j', (text, found) => {
    expect(remoteSources(`FROM x\n${text}\n`)).toEqual([found]);
  });

  it.each(['ADD a b /x', 'ADD ./app-$VERSION.tar.gz /x', '# ADD http://a /x', 'RUN curl http://a', 'COPY $A /x'])('leaves %j', (text) => {
    expect(remoteSources(`FROM x\n${text}\n`)).toEqual([]);
  });
});

describe('declaredConfig', () => {
  it('takes a file for one function, whatever its name, and the part of the function in one for several', async () => {
    expect(await declaredConfig(folder({ 'kiln.json': '{"name":"other","timeout":5}' }), 'mine')).toEqual({ timeout: 5 });
    const several = folder({ 'kiln.json': '{"functions":[{"name":"a","timeout":1},{"name":"b","timeout":2}]}' });
    expect(await declaredConfig(several, 'b')).toEqual({ timeout: 2 });
    await expect(declaredConfig(several, 'c')).rejects.toThrowError(/no function "c"; there are: a, b/);
  });

  it.each([
    ['{"timout":5}', /did you mean "timeout"/],
    ['[]', /must be an object/],
    ['{', /kiln\.json is not JSON/],
  ])('refuses %s', async (content, message) => {
    await expect(declaredConfig(folder({ 'kiln.json': content }), 'a')).rejects.toThrowError(message);
  });
});

describe('mergeConfig', () => {
  it('lets kiln.json win over the module', () => {
    expect(mergeConfig({ timeout: 1 }, { timeout: 2, memory: 64 }, 'runner')).toEqual({ timeout: 1, memory: 64 });
  });

  it('names the export whose config is wrong', () => {
    expect(() => mergeConfig({}, { timout: 2 }, 'runner', 'hello')).toThrowError(/exports\.hello\.config\.timout.*"timeout"/);
    expect(() => mergeConfig({}, 'text', 'runner', 'hello')).toThrowError(/exports\.hello\.config must be an object/);
  });

  it('checks what only both together make wrong', () => {
    expect(() => mergeConfig({ maxInstances: 1 }, { minInstances: 2 }, 'runner')).toThrowError(/minInstances/);
  });
});

describe('chooseHandler', () => {
  it('names handler and the exports where none is meant', () => {
    const exports = [
      { name: 'a', kind: 'function' as const },
      { name: 'b', kind: 'function' as const },
    ];
    expect(() => chooseHandler(exports, undefined, 'f')).toThrowError(/^handler: .*a, b$/);
    expect(() => chooseHandler(exports, 'c', 'f')).toThrowError(/^handler: no function "c" is exported; there are: a, b$/);
  });
});

describe('contextHash', () => {
  const contents = { 'a.js': '1', 'b.js': '2' };
  const hash = (files: Record<string, string>, executable: string[] = [], dockerfile = 'FROM x', ids = ['sha256:1']) =>
    contextHash(folder(files, executable), { dockerfile, files: new Map() }, ids);

  it('is equal for equal sources, in whatever order they came', () => {
    expect(hash(contents)).toBe(hash({ 'b.js': '2', 'a.js': '1' }));
  });

  it('differs with a path, a content, an executable bit, the Dockerfile and the base image', () => {
    const all = [
      hash(contents),
      hash({ 'a.js': '1', 'c.js': '2' }),
      hash({ 'a.js': '1', 'b.js': '3' }),
      hash({ 'a.js': '2', 'b.js': '1' }),
      hash(contents, ['a.js']),
      hash(contents, [], 'FROM y'),
      hash(contents, [], 'FROM x', ['sha256:2']),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});
