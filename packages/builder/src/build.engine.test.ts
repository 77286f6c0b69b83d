import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { BuiltImage } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import { Registries } from '@kiln/registry/registries';
import { engine } from '@kiln/testing/engine';
import { folderTar } from '@kiln/testing/folder-tar';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuildRequest, build } from './build.js';

const EXAMPLES = join(import.meta.dirname, '../../../examples');
const name = `t-builder-${randomBytes(4).toString('hex')}`;
let lines: string[] = [];
let temporary: string;
let usualTemporary: string | undefined;

beforeAll(() => {
  usualTemporary = process.env['TMPDIR'];
  temporary = mkdtempSync(join(tmpdir(), 'kiln-builder-test-'));
  process.env['TMPDIR'] = temporary;
  execFileSync(process.execPath, [join(import.meta.dirname, '../../runner/build.mjs')]);
});
afterAll(async () => {
  if (usualTemporary === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = usualTemporary;
  rmSync(temporary, { recursive: true });
  const images = await engine.listImages({ filters: { reference: [`kiln/${name}`] } });
  // By tag: others may have the same image under a name of theirs.
  for (const { RepoTags } of images)
    for (const tag of RepoTags ?? []) if (tag.startsWith(`kiln/${name}:`)) await engine.getImage(tag).remove();
});

function buildFiles(files: Record<string, string>, request: Partial<BuildRequest> = {}): Promise<BuiltImage> {
  const archive = pack();
  for (const [path, content] of Object.entries(files)) archive.entry({ name: path }, content);
  archive.finalize();
  return buildTar(Readable.from(archive).pipe(createGzip()), request);
}

function buildTar(source: Readable, request: Partial<BuildRequest> = {}): Promise<BuiltImage> {
  lines = [];
  const onLine = (line: string) => lines.push(line);
  return build({ docker: engine, source, functionName: name, onLine, signal: new AbortController().signal, ...request });
}

async function refusal(building: Promise<unknown>): Promise<KilnError> {
  const error: unknown = await building.then(
    () => undefined,
    (reason) => reason,
  );
  if (error instanceof KilnError) return error;
  throw new Error(`was not refused: ${String(error)}`);
}

const leftContainers = async () => (await engine.listContainers({ all: true, filters: { label: [`kiln.function=${name}`] } })).length;

describe('build', () => {
  it('makes an image of a runner function, with its handler and configuration, and finds it the second time', async () => {
    const first = await buildTar(folderTar(join(EXAMPLES, 'hello')));
    expect(first).toMatchObject({ kind: 'runner', config: { entry: 'index.js', handler: 'hello', timeout: 10_000 } });
    expect(first.image).toMatch(/^sha256:[0-9a-f]{64}$/);
    const since = performance.now();
    const second = await buildTar(folderTar(join(EXAMPLES, 'hello')));
    expect(second).toEqual(first);
    expect(lines.join('\n')).toMatch(/nothing changed/);
    expect(performance.now() - since).toBeLessThan(5000);
    expect(await leftContainers()).toBe(0);
  });

  it('labels images by their kind, which a Dockerfile cannot change', async () => {
    const runner = await buildTar(folderTar(join(EXAMPLES, 'hello')));
    const http = await buildFiles({ Dockerfile: 'FROM debian:trixie-slim\nLABEL kiln.kind=runner\nCMD ["true"]\n' });
    const kinds = await Promise.all(
      [runner, http].map(async ({ image }) => (await engine.getImage(image).inspect()).Config.Labels?.['kiln.kind']),
    );
    expect([http.kind, ...kinds]).toEqual(['http', 'runner', 'http']);
  });

  it('sends requests to the one port that a Dockerfile exposes, and kiln.json wins', async () => {
    const exposes = (ports: string) => ({ Dockerfile: `FROM debian:trixie-slim\nEXPOSE ${ports}\nCMD ["true"]\n` });
    expect((await buildFiles(exposes('3000 8125/udp'))).config).toEqual({ port: 3000 });
    expect(lines.join('\n')).toContain('the image exposes 3000: requests go there');
    expect((await buildFiles({ ...exposes('3000'), 'kiln.json': '{"port":4000}' })).config).toEqual({ port: 4000 });
    expect((await buildFiles(exposes('3000 9229'))).config).toEqual({});
  });

  it('gives a new image for a change of one byte, and kiln.json wins over the module', async () => {
    const source = (timeout: number) => ({
      'index.js': `exports.a = { func() {}, config: { timeout: ${timeout}, memory: 64 } };`,
      'kiln.json': '{"memory":96}',
    });
    const [one, two] = [await buildFiles(source(1000)), await buildFiles(source(2000))];
    expect(one.image).not.toBe(two.image);
    expect(two.config).toEqual({ timeout: 2000, memory: 96, entry: 'index.js', handler: 'a' });
  });

  it('leaves a module that cannot be loaded here to its own start', async () => {
    const built = await buildFiles({ 'index.js': 'throw new Error("no database");' });
    expect(built).toMatchObject({ kind: 'runner', config: { entry: 'index.js' } });
    expect(lines.join('\n')).toMatch(/can't read the exports[\s\S]*no database/);
    const slow = await buildFiles({ 'index.js': 'while (true);' }, { limits: { describeTime: 1500 } });
    expect([slow.config.handler, lines.join('\n')]).toEqual([undefined, expect.stringMatching(/not loaded after 1500 ms/)]);
    expect(await leftContainers()).toBe(0);
  });

  it('takes nothing but a description for one', async () => {
    const built = await buildFiles({ 'index.js': "require('fs').writeSync(1, '{\"exports\":[7]}'); process.exit(0);" });
    expect([built.config.handler, lines.join('\n')]).toEqual([undefined, expect.stringMatching(/gave no description/)]);
  });

  it('passes on no flood of output', async () => {
    await buildFiles({ Dockerfile: 'FROM debian:trixie-slim\nRUN seq 1 20000\n' });
    expect(lines.length).toBeLessThan(10_010);
  });

  it('reads exports where the module reaches no network and can write nowhere', async () => {
    const probe = `const fs = require('node:fs'); const os = require('node:os'); let wrote = 'yes';
      try { fs.writeFileSync('/app/x', ''); } catch (error) { wrote = error.code; }
      module.exports = { func() {}, config: { env: { WROTE: wrote, UID: String(process.getuid()), NET: Object.keys(os.networkInterfaces()).join() } } };`;
    expect((await buildFiles({ 'index.js': probe })).config.env).toEqual({ WROTE: 'EROFS', UID: '65532', NET: 'lo' });
  });

  it.each([
    [
      'an export that is not there',
      { 'index.js': 'exports.a = () => {};', 'kiln.json': '{"handler":"b"}' },
      /handler: no function "b".*: a/,
    ],
    ['several exports without a choice', { 'index.js': 'exports.a = () => {}; exports.b = () => {};' }, /handler: .*a, b/],
    [
      'a wrong configuration in the module',
      { 'index.js': 'exports.a = { func() {}, config: { timout: 1 } };' },
      /exports\.a\.config\.timout/,
    ],
    ['a wrong configuration in kiln.json', { 'index.js': '', 'kiln.json': '{"port":0}' }, /port/],
    ['a folder with nothing to run', { 'readme.txt': 'x' }, /looked for a Dockerfile/],
    ['a Dockerfile that does not parse', { Dockerfile: 'FROM debian:trixie-slim\nNONSENSE x\n' }, /build failed.*NONSENSE/is],
  ])('refuses %s', async (_what, files, message) => {
    const error = await refusal(buildFiles(files as Record<string, string>));
    expect([error.code, error.message]).toEqual(['bad_request', expect.stringMatching(message)]);
  });

  it('tells a base image that cannot be fetched from a mistake in the folder', async () => {
    const error = await refusal(buildFiles({ Dockerfile: 'FROM kiln.invalid/nothing:1\n' }));
    expect([error.code, error.message, error.fix]).toEqual([
      'unavailable',
      expect.stringMatching(/base image kiln\.invalid\/nothing:1 can't be pulled/),
      expect.stringMatching(/nothing is wrong with the folder/),
    ]);
  });

  it('says at which step a build failed, with its last lines, and leaves no container', async () => {
    const error = await refusal(buildFiles({ Dockerfile: 'FROM debian:trixie-slim\nRUN echo before && echo \u001b[31mred && exit 7\n' }));
    expect(error.message).toMatch(/build failed at Step 2\/3 "RUN echo before[\s\S]*before\nred/);
    expect(error.message).not.toContain('\u001b');
    const left = await engine.listContainers({ all: true, filters: { status: ['exited'] } });
    expect(left.filter(({ Command }) => Command.includes('echo before'))).toEqual([]);
  });

  it('ends a build that takes too long or is cancelled, and removes what it had begun', async () => {
    const sleeping = { Dockerfile: `FROM debian:trixie-slim\nRUN sleep 300 # ${name}\n` };
    const late = await refusal(buildFiles(sleeping, { limits: { time: 3000 } }));
    expect(late.message).toMatch(/not done within 3 s/);
    const cancel = new AbortController();
    const cancelled = refusal(
      buildFiles(sleeping, { signal: cancel.signal, onLine: (line) => line.includes('RUN sleep') && cancel.abort() }),
    );
    expect((await cancelled).message).toMatch(/cancelled/);
    expect(readdirSync(temporary)).toEqual([]);
    await expect
      .poll(async () => (await engine.listContainers({ all: true })).filter(({ Command }) => Command.includes(name)), { timeout: 20_000 })
      .toEqual([]);
  });

  it('gives build arguments to the steps, its path to a Dockerfile that asks for it, and tells what a step took', async () => {
    const Dockerfile =
      'FROM debian:trixie-slim\nARG WHO=nobody\nARG BASE_PATH\nRUN echo "for $WHO at $BASE_PATH"; sleep 1\nLABEL who=$WHO\nCMD ["true"]\n';
    const nobody = await buildFiles({ Dockerfile });
    expect(lines).toContain(`for nobody at /fn/${name}`);
    expect(lines.join('\n')).toMatch(/^Step 4\/\d took \d+\.\d s$/m);
    const ada = await buildFiles({ Dockerfile }, { buildArgs: { WHO: 'Ada $(id)' } });
    expect(lines).toContain(`for Ada $(id) at /fn/${name}`);
    expect(ada.image).not.toBe(nobody.image);
    expect((await engine.getImage(ada.image).inspect()).Config.Labels?.['who']).toBe('Ada $(id)');
  });

  it('gives them to the steps of its own Dockerfiles too', async () => {
    const scripts = { install: 'printf %s "$WHO" > got.txt' };
    const reads = "module.exports = { func() {}, config: { env: { GOT: require('fs').readFileSync('got.txt', 'utf8') } } };";
    const built = await buildFiles(
      { 'index.js': reads, 'package.json': JSON.stringify({ scripts, dependencies: { 'is-number': '7.0.0' } }) },
      { buildArgs: { WHO: 'Ada' } },
    );
    expect(built.config.env).toEqual({ GOT: 'Ada' });
  });

  it('installs the dependencies of package.json', async () => {
    const built = await buildTar(folderTar(join(EXAMPLES, 'express')));
    expect(built.config).toMatchObject({ handler: 'default', concurrency: 50 });
  });

  it('bundles a TypeScript function, installed by pnpm, with a map back to its lines', async () => {
    const built = await buildFiles({
      'package.json': '{"dependencies":{"ms":"2.1.3"},"packageManager":"pnpm@10.34.9"}',
      'index.ts':
        "import ms from 'ms';\nimport { Unit } from './src/unit.ts';\nexport const f = { func() {}, config: { env: { MS: String(ms(1000)).length + String(Unit.B) } } };",
      'src/unit.ts': 'export enum Unit { A, B }\n',
    });
    expect(built).toMatchObject({ kind: 'runner', config: { entry: 'index.cjs', handler: 'f', env: { MS: '21' } } });
    const thrown = await buildFiles({ 'index.ts': 'type A = string;\n\nthrow new Error(3 as unknown as A);' });
    expect([thrown.config.handler, lines.join('\n')]).toEqual([undefined, expect.stringMatching(/Error: 3 at index\.ts:3:/)]);
  });

  it('makes a site of a folder with an index.html, and needs no export of it', async () => {
    const built = await buildFiles({ 'index.html': '<h1>hello</h1>', 'kiln.json': '{"concurrency":7}' });
    expect(built).toMatchObject({ kind: 'runner', config: { entry: 'kiln-site.json', concurrency: 7 } });
    expect(lines[0]).toMatch(/found index\.html/);
  });

  it('makes one runner image for functions deployed at the same moment', async () => {
    const built = await Promise.all(['a', 'b', 'c'].map((text) => buildFiles({ 'index.js': `exports.f = () => '${text}';` })));
    const layers = await Promise.all(built.map(async ({ image }) => (await engine.getImage(image).inspect()).RootFS.Layers?.slice(0, -1)));
    expect(layers[1]).toEqual(layers[0]);
    expect(layers[2]).toEqual(layers[0]);
  });

  it('removes what a process left that was killed under a build', async () => {
    const { pid } = spawnSync('true');
    mkdirSync(join(temporary, `kiln-build-${pid}-abc`, 'sub'), { recursive: true });
    await refusal(buildFiles({ 'readme.txt': 'x' }));
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('leaves no image behind where the registry does not take it, nor where the module has no such handler', async () => {
    const imagesNow = async () =>
      (await engine.listImages({ filters: { reference: [`kiln/${name}`] } })).flatMap(({ RepoTags }) => RepoTags ?? []).sort();
    const before = await imagesNow();
    const registry = { prefix: '127.0.0.1:1/team', registries: new Registries() };
    const unpushed = await refusal(buildFiles({ 'index.html': '<h1>not pushed</h1>' }, { registry }));
    expect([unpushed.code, unpushed.message]).toEqual(['unavailable', expect.stringMatching(/^push to 127\.0\.0\.1:1: /)]);
    // Which exports there are only the module tells, once it is in its image.
    await refusal(buildFiles({ 'index.js': "exports['a' + 'b'] = () => 1;", 'kiln.json': '{"handler":"none"}' }));
    expect(await imagesNow()).toEqual(before);
    expect((await engine.listImages({ filters: { reference: [`127.0.0.1:1/team/${name}`] } })).length).toBe(0);
  });

  it('is cancelled while the archive still comes in', async () => {
    const cancel = new AbortController();
    const endless = new Readable({ read: () => undefined });
    const building = refusal(buildTar(endless, { signal: cancel.signal }));
    cancel.abort();
    expect((await building).code).toBe('unavailable');
    expect(endless.destroyed).toBe(true);
  });
});
