import { describe, expect, it } from 'vitest';
import { detect } from '../detect/detect.js';
import { folder, planOf } from '../source/source.fixture.js';
import { traitsOf } from './entry-text.js';

const manifest = (content: object) => ({ 'package.json': JSON.stringify(content) });
const NEEDS = manifest({ dependencies: { ms: '^2.1.3' } });

describe('the install of a Node project', () => {
  it.each([
    ['package-lock.json', '{}', /npm ci --omit=dev/, undefined],
    ['npm-shrinkwrap.json', '{}', /npm ci --omit=dev/, undefined],
    ['pnpm-lock.yaml', "lockfileVersion: '9.0'\n", /pnpm install --frozen-lockfile --prod /, 'pnpm@10'],
    ['pnpm-lock.yaml', "lockfileVersion: '6.0'\n", /pnpm install --frozen-lockfile/, 'pnpm@8'],
    ['pnpm-lock.yaml', 'lockfileVersion: 5.4\n', /pnpm install --frozen-lockfile/, 'pnpm@7'],
    ['yarn.lock', '# yarn lockfile v1\n', /yarn install --frozen-lockfile --non-interactive --production /, 'yarn@1.22.22'],
    ['yarn.lock', '__metadata:\n  version: 8\n', /YARN_NODE_LINKER=node-modules.* yarn install --immutable/, '@yarnpkg/cli-dist@4.9'],
    ['yarn.lock', '__metadata:\n  version: 10\n', /yarn install --immutable/, '@yarnpkg/cli-dist@4'],
    ['yarn.lock', '__metadata:\n  version: 6\n', /yarn install --immutable/, '@yarnpkg/cli-dist@3'],
  ])('does what %s says: %j', async (lockfile, content, command, fetched) => {
    const { text, notes } = await planOf({ ...NEEDS, 'index.js': 'exports.f = () => {};', [lockfile]: content });
    expect(text).toMatch(command);
    expect(/install --global [^&]* (\S+@\S+) &&/.exec(text)?.[1]).toBe(fetched);
    expect(text).toMatch(new RegExp(`COPY app/package\\.json app/${lockfile} /app/\nRUN npm pkg delete .*\nCOPY app/ /app/`));
    expect(notes).toContain(`found ${lockfile}: installing what it says`);
  });

  it('takes the package manager that package.json names, in that version', async () => {
    const named = manifest({ dependencies: { ms: '1' }, packageManager: 'pnpm@9.15.4+sha512.abc' });
    const { text } = await planOf({ ...named, 'index.js': 'exports.f = () => {};', 'package-lock.json': '{}', 'pnpm-lock.yaml': '' });
    expect(text).toMatch(/ pnpm@9\.15\.4 &&[\s\S]*pnpm install --frozen-lockfile --prod/);
    const odd = manifest({ dependencies: { ms: '1' }, packageManager: 'pnpm@9 && reboot' });
    expect((await planOf({ ...odd, 'index.js': 'exports.f = () => {};' })).text).not.toContain('reboot');
  });

  it('copies everything first where the install may need it', async () => {
    for (const content of [{ workspaces: ['a'] }, { scripts: { postinstall: 'x' } }, { dependencies: { y: 'workspace:*' } }]) {
      const { text } = await planOf({ ...manifest({ dependencies: { ms: '1' }, ...content }), 'index.js': 'exports.f = 1' });
      expect(text).toMatch(/USER root\nCOPY app\/ \/app\/\nRUN /);
    }
  });

  it.each<[string, object, Record<string, string>, RegExp, RegExp]>([
    [
      'a postinstall',
      { scripts: { postinstall: 'node make.js' } },
      {},
      /npm install .*--omit=dev/,
      /found the script "postinstall": running/,
    ],
    [
      'a preinstall beside tools',
      { scripts: { preinstall: 'x' }, devDependencies: { x: '1' } },
      {},
      /npm install .*--include=dev.*\nRUN npm prune /,
      /no lockfile/,
    ],
    ['workspaces', { workspaces: ['packages/*'] }, { 'package-lock.json': '{}' }, /npm ci --omit=dev/, /found package-lock\.json/],
    ['a workspace of pnpm', {}, { 'pnpm-workspace.yaml': 'packages: [a]' }, /pnpm install --no-frozen-lockfile --prod/, /no lockfile/],
  ])('is done for %s alone, with the sources there', async (_what, content, files, command, note) => {
    const { text, notes } = await planOf({ ...manifest(content), ...files, 'index.js': 'exports.f = () => {};' });
    expect(text).toMatch(/COPY app\/ \/app\/\nRUN npm pkg delete scripts\.prepare/);
    expect(text).toMatch(command);
    expect(notes.join('\n')).toMatch(note);
  });

  it('is done for peer dependencies alone, as npm does', async () => {
    const peers = manifest({ peerDependencies: { ms: '2' } });
    expect((await planOf({ ...peers, 'index.js': 'exports.f = () => {};' })).text).toContain('npm install');
  });

  it('is left out where only a script for developers is there', async () => {
    const hooks = manifest({ scripts: { prepare: 'husky' } });
    expect((await planOf({ ...hooks, 'index.js': 'exports.f = () => {};' })).text).not.toContain('RUN');
  });
});

describe('a TypeScript function', () => {
  it.each([
    ['index.ts', {}, 'index.cjs', 'cjs'],
    ['index.ts', manifest({ type: 'module' }), 'index.mjs', 'esm'],
    ['src/index.ts', {}, 'src/index.cjs', 'cjs'],
    ['function.ts', {}, 'function.cjs', 'cjs'],
    ['index.mts', {}, 'index.mjs', 'esm'],
  ])('%s with %j is bundled as %s', async (source, more, target, format) => {
    const plan = await planOf({ ...more, [source]: 'export const f = () => {};' });
    expect([plan.kind, plan.entry]).toEqual(['runner', target]);
    expect(plan.text).toMatch(new RegExp(`"esbuild","./${source}".*"--format=${format}".*"--sourcemap=linked".*"--outfile=./${target}"`));
    expect(plan.notes[0]).toBe(`found the module ${source}: bundling it as ${target}`);
  });

  it('may be named as the entry', async () => {
    const plan = await detect(folder({ 'handlers/a.ts': '' }), { entry: 'handlers/a.ts' });
    expect(plan.entry).toBe('handlers/a.cjs');
  });
});

describe('what a module’s text tells', () => {
  it.each([
    ['module.exports = app;', { exports: true, listens: false }],
    ['exports.hello = { func() {} };', { exports: true }],
    ['export default (req, res) => {};', { exports: true }],
    ['export { hello } from "./hello.js";', { exports: true }],
    ['// module.exports = app\napp.listen(3000)', { exports: false, listens: true, fixedPort: 3000 }],
    ['/* export default 1 */ serve(app)', { exports: false, listens: true }],
    ['if (require.main === module) app.listen(3000);\nmodule.exports = app;', { exports: true, listens: false }],
    ['const port = process.env.PORT || 3000;\napp.listen(port)', { listens: true, fixedPort: undefined }],
    ['const port = 3000\napp.listen(port)', { fixedPort: 3000 }],
    ['const PORT = 4000;\napp.listen(PORT, () => console.log(PORT))', { fixedPort: 4000 }],
    ['const { PORT = 3000 } = process.env;\napp.listen(PORT)', { fixedPort: undefined }],
    ['serve({ fetch: app.fetch, port: 3000 }, (info) => {})', { fixedPort: 3000 }],
    ['await app.listen(process.env.PORT ?? 3000);', { fixedPort: undefined }],
    ["import Fastify from 'fastify'\nfastify.listen({ port: 3000 })", { fixedPort: 3000, localOnly: true }],
    ["import Fastify from 'fastify'\nfastify.listen({ port: process.env.PORT, host: '0.0.0.0' })", { localOnly: false }],
    ['const db = new Client({ port: 5432 });\napp.listen(config.port)', { listens: true, fixedPort: undefined }],
    ['const port = 4000;\napp.listen({ port })', { fixedPort: 4000 }],
    ['const port: number = 4000\napp.listen({ host, port: port })', { fixedPort: 4000 }],
    ['app.listen(server)', { fixedPort: undefined }],
    ['const url = "http://example.com"; module.exports = 1', { exports: true }],
  ])('%j', (text, traits) => expect(traitsOf(text)).toMatchObject(traits));

  it.each(['/*', '\n', 'serve({', 'export ', '.listen( ', 'const a = ', '//', 'exports.a '])(
    'is told soon of a text made of %j',
    (piece) => {
      const text = piece.repeat(Math.ceil(256_000 / piece.length));
      const started = performance.now();
      traitsOf(text);
      expect(performance.now() - started).toBeLessThan(2000);
    },
  );

  it('and how a project starts is told soon of a long script', async () => {
    const start = `node ${'--a '.repeat(10_000)}&& true`;
    const started = performance.now();
    expect((await planOf({ ...manifest({ scripts: { start } }) })).text).toContain('CMD ["sh","-c",');
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
