import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CreatedKey } from '@kiln/contract/api/control-api';
import type { Scope } from '@kiln/contract/records/records';
import { type Cluster, type Member, startCluster } from '@kiln/testing/cluster';
import { GitFolder } from '@kiln/testing/git-folder';
import { until } from '@kiln/testing/until';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';

const MB = 1024 * 1024;
const PUSH_MS = 240_000;
/** What a router may need beyond what it needs idle while 100 MB pass through it. */
const ALLOWED_MEMORY = 120 * MB;

let cluster: Cluster;
const folders: GitFolder[] = [];

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2, routers: 2 });
});
afterAll(() => cluster?.stop());
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove();
  expect(readdirSync(cluster.shared.temporary)).toEqual([]);
});

const urlOf = (project: string, key = cluster.shared.adminKey, router = cluster.router) =>
  `http://me:${key}@127.0.0.1:${router.ports.control}/git/${project}.git`;
const answers = (text: string) => `export default (req, res) => res.send(${JSON.stringify(text)});\n`;
const said = async (name: string) => (await cluster.call(`/fn/${name}/`)).text;

async function project(name: string, files: Record<string, string | Buffer>): Promise<GitFolder> {
  const folder = await GitFolder.init();
  folders.push(folder);
  await folder.git('remote', 'add', 'kiln', urlOf(name));
  await folder.commit(files, 'first');
  return folder;
}

const push = (folder: GitFolder, ...more: string[]) => folder.git('push', ...more, 'kiln', 'main');
const refused = async (folder: GitFolder, ...args: string[]) => {
  const run = await folder.run(args.length > 0 ? args : ['push', 'kiln', 'main']);
  expect(run.code, run.text).not.toBe(0);
  return run.text;
};

it(
  'from git init to the answering function, and the second push builds only what has changed',
  async () => {
    const folder = await project('shop', {
      'cart/kiln.json': '{}',
      'cart/index.js': answers('cart 1'),
      'search/kiln.json': '{}',
      'search/index.js': answers('search 1'),
    });
    const first = await push(folder);
    expect(first.text).toMatch(/remote: cart \| .*found the module index.js/);
    expect(first.text).toMatch(/remote: cart: version 1 serves at http/);
    expect([await said('cart'), await said('search')]).toEqual(['cart 1', 'search 1']);

    await folder.commit({ 'search/index.js': answers('search 2') });
    const started = performance.now();
    const second = await push(folder);
    console.info(`git push: one function of two changed, ${((performance.now() - started) / 1000).toFixed(1)} s`);
    expect(second.text).toContain('cart: unchanged, version 1 serves on');
    expect(second.text).toContain('search: version 2 serves');
    expect([await said('cart'), await said('search')]).toEqual(['cart 1', 'search 2']);
  },
  PUSH_MS,
);

it(
  'the three commands of the README deploy a function of the project’s name',
  async () => {
    const folder = await project('solo', { 'index.js': answers('solo') });
    await push(folder);
    expect(await said('solo')).toBe('solo');
  },
  PUSH_MS,
);

it(
  'a broken build, and a version that does not start, leave the old one serving and reject the push',
  async () => {
    const folder = await project('breaks', { 'index.js': answers('works') });
    await push(folder);
    const before = (await folder.git('ls-remote', 'kiln', 'main')).text;
    for (const [code, reason] of [
      ['export default {', 'SyntaxError'],
      ['throw new Error("no database"); export default 1', 'no database'],
    ] as const) {
      await folder.commit({ 'index.js': code });
      const text = await refused(folder);
      expect(text).toContain(reason);
      expect(text).toMatch(/remote: +at index\.js:1/);
      expect(text).not.toMatch(/node:internal|runner\.mjs/);
      expect(text).toContain('[remote rejected] main -> main');
      expect(await said('breaks')).toBe('works');
    }
    await folder.commit({ Dockerfile: 'FROM debian:trixie-slim\nRUN echo fails; exit 3\n' });
    expect(await refused(folder)).toMatch(/remote: breaks \| .*fails[\s\S]*remote: .*3/);
    expect(await said('breaks')).toBe('works');
    expect((await folder.git('ls-remote', 'kiln', 'main')).text).toBe(before);
    expect((await cluster.api('GET', '/v1/functions/breaks/traffic')).json()).toEqual([{ version: 1, weight: 100 }]);
  },
  PUSH_MS,
);

it(
  'a wrong key and a missing scope are told in the client',
  async () => {
    const folder = await project('keys', { 'index.js': answers('keys') });
    const keyWith = async (scope: Scope) =>
      (await cluster.api('POST', '/v1/keys', { name: scope, scopes: [scope] })).json<CreatedKey>().apiKey;
    expect(await refused(folder, 'push', urlOf('keys', `kiln_${'a'.repeat(12)}_${'b'.repeat(40)}`), 'main')).toContain(
      'remote: No valid API key',
    );
    expect(await refused(folder, 'push', urlOf('keys', await keyWith('read')), 'main')).toContain('lacks the scope "deploy"');
    await folder.git('push', urlOf('keys', await keyWith('deploy')), 'main');
    expect(await said('keys')).toBe('keys');
  },
  PUSH_MS,
);

it(
  'a forced push is deployed with a note, another branch is stored and not deployed',
  async () => {
    const folder = await project('history', { 'index.js': answers('one') });
    await push(folder);
    await folder.git('switch', '--quiet', '--create', 'draft');
    await folder.commit({ 'index.js': answers('draft') });
    expect((await folder.git('push', 'kiln', 'draft')).text).toContain('only main is deployed: draft is stored and not deployed');
    expect(await said('history')).toBe('one');
    await folder.git('switch', '--quiet', 'main');
    folder.write({ 'index.js': answers('rewritten') });
    await folder.git('commit', '--quiet', '--all', '--amend', '--message', 'rewritten');
    expect(await refused(folder)).toContain('non-fast-forward');
    expect((await push(folder, '--force')).text).toContain('note: this push is forced');
    expect(await said('history')).toBe('rewritten');
  },
  PUSH_MS,
);

it(
  'two pushes at once: the second waits, says so, and is deployed after the first',
  async () => {
    const folder = await project('twice', { 'index.js': answers('one'), Dockerfile: 'FROM debian:trixie-slim\nRUN sleep 8; exit 1\n' });
    const first = folder.run(['push', 'kiln', 'main'], undefined, (text) => lines.push(text));
    const lines: string[] = [];
    await until('the first is being built', () => lines.join('').includes('twice: building'), 30_000);
    await folder.git('rm', '--quiet', 'Dockerfile');
    await folder.commit({ 'index.js': answers('two') });
    const second = await push(folder);
    expect((await first).code).not.toBe(0);
    expect(second.text).toContain('waiting for another push to "twice"');
    expect(await said('twice')).toBe('two');
  },
  PUSH_MS,
);

it(
  'a push waits for one through another router, and no longer than that router lives',
  async () => {
    const other = cluster.routers[1] as Member;
    const throughOther = urlOf('shared', cluster.shared.adminKey, other);
    const folder = await project('shared', { 'index.js': answers('one'), Dockerfile: 'FROM debian:trixie-slim\nRUN sleep 600\n' });
    const lines: string[] = [];
    const first = folder.run(['push', throughOther, 'main'], undefined, (text) => lines.push(text));
    await until('the first is being built', () => lines.join('').includes('shared: building'), 30_000);
    await folder.git('rm', '--quiet', 'Dockerfile');
    await folder.commit({ 'index.js': answers('two') });
    const waited: string[] = [];
    const second = folder.run(['push', 'kiln', 'main'], undefined, (text) => waited.push(text));
    await until('the second waits', () => waited.join('').includes('waiting for a push to "shared" through another router'), 30_000);
    await cluster.kill(other);
    const killedAt = performance.now();
    expect((await first).code).not.toBe(0);
    const { code, text } = await second;
    console.info(`git push: deployed ${((performance.now() - killedAt) / 1000).toFixed(1)} s after the router before it was killed`);
    expect(code, text).toBe(0);
    expect(await said('shared')).toBe('two');
    await until('the build has ended', () => buildsOf(cluster.nodes).length === 0, 30_000);
    cluster.restart(other);
    await cluster.ready();
  },
  PUSH_MS,
);

it(
  'a push of 100 MB passes through a router that stays small, and a larger file is refused by name',
  async () => {
    const folder = await project('large', { 'index.js': answers('large'), '.kilnignore': '*.bin\n' });
    await folder.commit({ 'a.bin': randomBytes(50 * MB), 'b.bin': randomBytes(50 * MB) });
    const before = peakMemory(true);
    const started = performance.now();
    await push(folder);
    const grown = peakMemory(false) - before;
    console.info(`git push: 100 MB in ${((performance.now() - started) / 1000).toFixed(1)} s, router grew ${Math.round(grown / MB)} MB`);
    expect(grown).toBeLessThan(ALLOWED_MEMORY);
    expect(await said('large')).toBe('large');
    await folder.commit({ 'c.bin': Buffer.alloc(129 * MB) });
    expect(await refused(folder)).toContain('c.bin is 129 MiB; a file may have 128 MiB');
    expect(await said('large')).toBe('large');
  },
  PUSH_MS,
);

it(
  '100 MB that are part of the function are built',
  async () => {
    const folder = await project('heavy', {
      'index.js': `import { statSync } from 'node:fs';\nexport default (req, res) => res.send(String(statSync('/app/data.bin').size));\n`,
      'data.bin': randomBytes(100 * MB),
    });
    const before = peakMemory(true);
    await push(folder);
    console.info(`git push: 100 MB of one function, router grew ${Math.round((peakMemory(false) - before) / MB)} MB`);
    expect(peakMemory(false) - before).toBeLessThan(ALLOWED_MEMORY);
    expect(await said('heavy')).toBe(String(100 * MB));
  },
  PUSH_MS,
);

it(
  'links out of the repository and names like .. are never deployed',
  async () => {
    const folder = await project('escape', { 'index.js': answers('inside') });
    await push(folder);
    symlinkSync('/etc/shadow', join(folder.path, 'shadow'));
    await folder.commit({});
    expect(await refused(folder)).toContain('shadow (a link)');
    const blob = (await folder.git('rev-parse', 'HEAD:index.js')).text.trim();
    writeFileSync(join(folder.path, 'tree'), Buffer.concat([Buffer.from('100644 ..\0'), Buffer.from(blob, 'hex')]));
    const tree = (await folder.git('hash-object', '-t', 'tree', '-w', '--literally', 'tree')).text.trim();
    const commit = (await folder.git('commit-tree', '-p', 'HEAD~1', '-m', 'x', tree)).text.trim();
    expect(await refused(folder, 'push', 'kiln', `${commit}:refs/heads/main`)).toContain("hasDotdot: contains '..'");
    expect(await said('escape')).toBe('inside');
    expect((await cluster.versions('escape')).length).toBe(1);
  },
  PUSH_MS,
);

it(
  'a client that leaves in the middle of a build ends it, and its repository is clean',
  async () => {
    const folder = await project('leaves', { Dockerfile: 'FROM debian:trixie-slim\nRUN sleep 600\n' });
    const leaving = new AbortController();
    const lines: string[] = [];
    const pushing = folder.run(['push', 'kiln', 'main'], leaving.signal, (text) => lines.push(text));
    await until('it is being built', () => /leaves \| .*sleep/i.test(lines.join('')), 60_000);
    leaving.abort();
    await pushing;
    const objects = join(cluster.shared.home, 'git', 'leaves.git', 'objects');
    await until('nothing half received is left', () => readdirSync(objects).every((name) => !name.startsWith('tmp_')), 30_000);
    await until('the build has ended', () => buildsOf(cluster.nodes).length === 0, 30_000);
    await folder.git('rm', '--quiet', 'Dockerfile');
    await folder.commit({ 'index.js': answers('after') });
    await push(folder);
    expect(await said('leaves')).toBe('after');
  },
  PUSH_MS,
);

/** Bytes that the router has had resident at most, since it was last set back. */
function peakMemory(setBack: boolean): number {
  const { pid } = cluster.router.program;
  if (setBack) writeFileSync(`/proc/${pid}/clear_refs`, '5');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

function buildsOf(nodes: readonly string[]): string[] {
  return nodes.flatMap((node) =>
    execFileSync('docker', ['ps', '--quiet', '--filter', `label=kiln.node=${node}`, '--filter', 'label=kiln.role=build'], {
      encoding: 'utf8',
    })
      .split('\n')
      .filter((id) => id !== ''),
  );
}
