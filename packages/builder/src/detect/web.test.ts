import { describe, expect, it } from 'vitest';
import { folder, planOf } from '../source/source.fixture.js';
import { detect } from './detect.js';

const EXPRESS_SERVER = "const app = require('express')();\napp.listen(process.env.PORT);\n";
const EXPRESS_APP = "const app = require('express')();\nmodule.exports = app;\n";
const manifest = (content: object) => ({ 'package.json': JSON.stringify(content) });
const express = { dependencies: { express: '5' } };

/** As `create-vite` lays them out. */
const vite = (build = 'vite build', more: object = {}) => ({
  ...manifest({ type: 'module', scripts: { dev: 'vite', build, preview: 'vite preview' }, devDependencies: { vite: '^8.3.4' }, ...more }),
  'index.html': '<script type="module" src="/src/main.js"></script>',
  'src/main.js': '',
});

describe('a Node server', () => {
  it('runs by its start script, without npm or a shell where that says node', async () => {
    const plan = await planOf({
      ...manifest({ ...express, scripts: { start: 'node --enable-source-maps ./server.js' } }),
      'server.js': EXPRESS_SERVER,
    });
    expect([plan.kind, plan.config, plan.notes[0]]).toEqual([
      'http',
      {},
      'found a Node server (express): the script "start" runs node --enable-source-maps ./server.js',
    ]);
    expect(plan.text).toMatch(/^FROM node:24-trixie-slim\nWORKDIR \/app\n[\s\S]*--omit=dev[\s\S]*NODE_ENV=production HOST=0\.0\.0\.0/);
    expect(plan.text).toMatch(/USER 65532:65532\nENTRYPOINT \[\]\nCMD \["node","--enable-source-maps","\.\/server\.js"\]\n$/);
  });

  const ASKS = "require('http').createServer().listen(process.env.PORT || 5000);";

  it.each<[string, number | undefined]>([
    ['PORT=3000 NODE_ENV=production node server.js', 3000],
    ['cross-env NODE_ENV=production PORT=3000 node ./server.js', 3000],
    ["PORT='3000' node server.js", 3000],
    ['export PORT=3000 && node server.js', 3000],
    ['npm run migrate -- --port 5432 && PORT=3000 node server.js', 3000],
    ['npm run serve', 4000],
    ['PORT=3000 npm run serve', 4000],
    ['npm run serve -- --port 3000', 3000],
    ['PORT=3000 npm run other', 3000],
    ['npm run circle', undefined],
    ['serve dist -l 3000', 3000],
    ['node server.js --port=3000', 3000],
    ['fastify start -l info -p 3000 app.js', 3000],
    ['PORT=$PORT node server.js', undefined],
    ['DB_PORT=5432 node server.js', undefined],
    ['tsx -p tsconfig.json src/index.ts', undefined],
    ['PORT=99999 node server.js', undefined],
  ])('gets requests where its start script says: %s', async (start, port) => {
    const scripts = { start, serve: 'PORT=4000 node server.js', other: 'node server.js', circle: 'npm run circle' };
    const { kind, config, notes } = await planOf({ ...manifest({ scripts }), 'server.js': ASKS });
    expect([kind, config]).toEqual(['http', port === undefined ? {} : { port }]);
    expect(notes.some((note) => note.includes('requests go there'))).toBe(port !== undefined);
  });

  it('keeps the tools where the start loads one of them', async () => {
    const scripts = { start: 'NODE_ENV=production node --import tsx server.ts' };
    const { text } = await planOf({ ...manifest({ scripts, devDependencies: { tsx: '4' } }), 'server.ts': ASKS });
    expect(text).toContain('--include=dev');
    expect(text).not.toContain('prune');
  });

  it('starts without a shell, too, where variables stand in front', async () => {
    const scripts = { start: 'cross-env PORT=3000 A=b node server.js' };
    const tools = { devDependencies: { 'cross-env': '10' } };
    const { text } = await planOf({ ...manifest({ scripts, ...tools }), 'server.js': ASKS });
    expect(text).toMatch(/CMD \["env","PORT=3000","A=b","node","server\.js"\]\n$/);
    expect(text).not.toContain('npm install');
  });

  it('gets requests where its text says, whatever its script says of PORT; kiln.json wins over both', async () => {
    const files = {
      ...manifest({ scripts: { start: 'PORT=3000 node server.js' } }),
      'server.js': "require('http').createServer().listen(4000)",
    };
    expect((await planOf(files)).config).toEqual({ port: 4000 });
    expect((await detect(folder(files), { port: 5000 })).config).toEqual({});
  });

  it('is built by its build script, and keeps no tools', async () => {
    const nest = manifest({
      scripts: { build: 'nest build', start: 'nest start', 'start:prod': 'node dist/main' },
      dependencies: { '@nestjs/core': '12' },
      devDependencies: { '@nestjs/cli': '12' },
    });
    const { text, notes } = await planOf({
      ...nest,
      'package-lock.json': '{}',
      'src/main.ts': 'await app.listen(process.env.PORT ?? 3000);',
    });
    expect(text).toMatch(
      /AS build\n[\s\S]*--include=dev[\s\S]*ENV BASE_PATH=\/fn\/f\nRUN npm run build --no-update-notifier\nRUN npm prune[\s\S]*COPY --from=build \/app \/app/,
    );
    expect(text).toMatch(/CMD \["node","dist\/main"\]/);
    expect(notes.join('\n')).toMatch(/\(@nestjs\/core\): the script "start:prod"[\s\S]*"build": running it/);
  });

  it('keeps development dependencies where the start may need them', async () => {
    const { text } = await planOf({ ...manifest({ scripts: { start: 'tsx src/index.ts', build: 'tsc' }, devDependencies: { tsx: '4' } }) });
    expect(text).toContain('CMD ["sh","-c","tsx src/index.ts"]');
    expect(text).not.toContain('prune');
    expect(text).toContain('--include=dev');
  });

  it.each([
    ['in the script itself', { start: 'npm run build:ts && node dist/app.js', 'build:ts': 'tsc' }, 'build:ts'],
    ['before it', { prestart: 'npm run build', start: 'node dist/app.js', build: 'tsc' }, 'build'],
  ])('is built in the image where its start builds, %s', async (_where, scripts, build) => {
    const { text } = await planOf({ ...manifest({ ...express, scripts }), 'app.ts': 'export default async () => {};' });
    expect(text).toContain(`RUN npm run ${build} --no-update-notifier\n`);
    expect(text).toMatch(/CMD \["node","dist\/app\.js"\]\n$/);
  });

  it('does all else that its start says when it is started', async () => {
    const scripts = { start: 'npm run migrate && node app.js', migrate: 'x' };
    expect((await planOf({ ...manifest({ scripts }), 'app.js': EXPRESS_SERVER })).text).toContain('"npm run migrate && node app.js"]');
    const before = { prestart: 'npm run migrate', start: 'node app.js', migrate: 'x' };
    expect((await planOf({ ...manifest({ scripts: before }), 'app.js': EXPRESS_SERVER })).text).toContain('CMD ["npm","run","start"]');
  });

  it('gets requests where its text says that it listens, and kiln.json wins', async () => {
    const hono = { 'src/index.ts': 'serve({ fetch: app.fetch, port: 3000 })' };
    const plan = await planOf({ ...manifest({ dependencies: { hono: '4' } }), ...hono });
    expect([plan.kind, plan.config]).toEqual(['http', { port: 3000 }]);
    expect(plan.notes.join()).toContain('src/index.ts listens on 3000 and asks for no PORT');
  });

  it.each([
    ['no start script, and it listens', express, { 'index.js': EXPRESS_SERVER }, 'http'],
    ['a module that exports an app', express, { 'index.js': EXPRESS_APP }, 'runner'],
    [
      'a start script for a module that exports an app',
      { ...express, scripts: { start: 'node index.js' } },
      { 'index.js': EXPRESS_APP },
      'runner',
    ],
    [
      'an app that listens only when started',
      { ...express, scripts: { start: 'node index.js' } },
      { 'index.js': `${EXPRESS_APP}if (require.main === module) app.listen(3000);` },
      'runner',
    ],
    [
      'an app that listens whenever it is loaded, and a start script',
      { ...express, scripts: { start: 'node index.js' } },
      { 'index.js': `${EXPRESS_SERVER}module.exports = app;` },
      'http',
    ],
    ['an app that listens, and no start script', express, { 'index.js': `${EXPRESS_SERVER}module.exports = app;` }, 'runner'],
    [
      'express-generator',
      { ...express, scripts: { start: 'node ./bin/www' } },
      { 'app.js': EXPRESS_APP, 'bin/www': "var port = normalizePort(process.env.PORT || '3000'); server.listen(port);" },
      'http',
    ],
    [
      'fastify generate',
      { dependencies: { fastify: '5', 'fastify-cli': '8' }, main: 'app.js', scripts: { start: 'fastify start -l info app.js' } },
      { 'app.js': 'module.exports = async function (fastify, opts) {};' },
      'http',
    ],
    ['a start script for functions', { scripts: { start: 'kiln-runner .' } }, { 'index.js': 'exports.a = () => {}' }, 'runner'],
    [
      'a start script for what the build makes',
      { scripts: { start: 'node dist/index.js', build: 'tsc' } },
      { 'src/index.ts': 'x' },
      'http',
    ],
  ])('%s', async (_what, content, files, kind) => {
    expect((await planOf({ ...manifest(content), ...files })).kind).toBe(kind);
  });
});

describe('a page that Vite builds', () => {
  it('is built for any root, and served by the runner', async () => {
    const plan = await planOf(vite('tsc -b && vite build'));
    expect([plan.kind, plan.entry, plan.config]).toEqual(['runner', undefined, { entry: 'kiln-site.json', concurrency: 100 }]);
    expect(plan.text).toMatch(
      /--include=dev[\s\S]*ENV BASE_PATH=\/fn\/f\nRUN npm run build --no-update-notifier -- --base=\/__kiln_base__\/ --outDir=\/build --emptyOutDir\n/,
    );
    expect(plan.text).toMatch(
      /"site","\/build","\/site","--app","--base","\/__kiln_base__","--copied","\/app\/public"\]\nFROM kiln\/runner:x\nCOPY --from=build \/site\/ \/app\/\n$/,
    );
    expect(plan.notes[0]).toMatch(/found vite in package\.json, index\.html and the script "build" \(tsc -b && vite build\)/);
  });

  it('says that a base of its own is replaced', async () => {
    for (const text of ["export default defineConfig({\n  base: '/shop/',\n});\n", "export default { base: '/shop/' }"])
      expect((await planOf({ ...vite(), 'vite.config.ts': text })).notes).toContain(
        '"base" of vite.config.ts is replaced: the page is at the root of its host, and below its path by path',
      );
    expect((await planOf(vite())).notes.join()).not.toContain('replaced');
  });

  it.each([['astro build'], ['vite build && node prerender.js'], ['vite build --ssr src/server.ts && vite build'], ['react-router build']])(
    'is none where the build is %s',
    async (build) => {
      if (build.endsWith('&& vite build')) return expect((await planOf(vite(build))).kind).toBe('runner');
      await expect(planOf(vite(build))).rejects.toThrowError(/nothing to build/);
    },
  );

  it('is none beside a server that has a start script of its own', async () => {
    const { 'package.json': _, ...files } = vite();
    for (const start of ['node server.js', 'NODE_ENV=production node server.js']) {
      const both = manifest({ scripts: { build: 'vite build', start }, dependencies: { vite: '8', express: '5' } });
      expect((await planOf({ ...files, ...both, 'server.js': EXPRESS_SERVER })).kind).toBe('http');
    }
  });
});

describe('a page of Create React App', () => {
  it('is built and served by the runner', async () => {
    const cra = manifest({
      scripts: { start: 'react-scripts start', build: 'react-scripts build' },
      dependencies: { 'react-scripts': '5.0.1' },
    });
    const plan = await planOf({ ...cra, 'public/index.html': '<div id="root"></div>', 'src/index.js': '' });
    expect([plan.kind, plan.config?.entry]).toEqual(['runner', 'kiln-site.json']);
    expect(plan.text).toMatch(/PUBLIC_URL=\/__kiln_base__ BUILD_PATH=\/build CI=false npm run build /);
  });
});

describe('a folder of files', () => {
  it.each([
    [{ 'index.html': '' }, '/app/'],
    [{ 'public/index.html': '', 'README.md': '' }, '/app/public/'],
  ])('%j is served as it is', async (files, source) => {
    const plan = await planOf(files as unknown as Record<string, string>);
    expect([plan.kind, plan.config]).toEqual(['runner', { entry: 'kiln-site.json', concurrency: 100 }]);
    expect(plan.text).toContain(`"site","${source}","/site"]`);
    expect(plan.text).not.toContain('--app');
  });

  const PAGE = '<!doctype html><button>0</button><script src="index.js"></script>';
  const COUNTS = "const button = document.querySelector('button');\nbutton.addEventListener('click', () => (button.textContent = 1));\n";

  it.each<[string, Record<string, string>]>([
    ['called index.js', { 'index.html': PAGE, 'index.js': COUNTS }],
    ['that imports its other files', { 'index.html': '', 'index.js': "import { count } from './count.js';\ncount();" }],
    ['that has a function called serve', { 'index.html': PAGE, 'index.js': 'function serve(ball) {}\nserve(1);' }],
    [
      'that imports a package by name',
      { 'index.html': '<script type="module" defer src="./index.js?v=2"></script>', 'index.js': "import * as three from 'three';" },
    ],
    ['in a folder below', { 'index.html': '<SCRIPT SRC=/src/index.js></SCRIPT>', 'src/index.js': 'serve(1);' }],
    ['with nothing in it', { 'index.html': '', 'index.mjs': '' }],
  ])('may have a script of the page %s', async (_what, files) => {
    const plan = await planOf(files);
    expect([plan.entry, plan.config?.entry]).toEqual([undefined, 'kiln-site.json']);
  });

  it.each<[string, Record<string, string>, string]>([
    ['exports', { 'index.html': PAGE, 'index.js': 'export const hello = (req, res) => res.end();' }, 'runner'],
    ['passes on exports', { 'index.html': '', 'index.js': "export * from './hello.js';" }, 'runner'],
    ['exports by a name it makes', { 'index.html': '', 'index.js': "exports['a' + 'b'] = () => 1;" }, 'runner'],
    ['starts another module', { 'index.html': '', 'index.js': "require('./server');" }, 'runner'],
    ['listens', { 'index.html': '', 'index.js': "require('http').createServer().listen(process.env.PORT)" }, 'http'],
  ])('is none beside a module that %s', async (_what, files, kind) => {
    const plan = await planOf(files);
    expect([plan.kind, plan.config?.entry]).toEqual([kind, undefined]);
  });

  it('is none where kiln.json names the module or its export', async () => {
    const page = folder({ 'index.html': PAGE, 'index.js': COUNTS });
    for (const config of [{ entry: 'index.js' }, { handler: 'count' }]) expect((await detect(page, config)).entry).toBe('index.js');
  });

  it('is none with a package.json or a module beside it', async () => {
    await expect(planOf({ 'index.html': '', 'package.json': '{}' })).rejects.toThrowError(/nothing to build/);
    expect((await planOf({ 'index.html': '', 'index.js': 'module.exports = () => {}' })).entry).toBe('index.js');
  });
});
