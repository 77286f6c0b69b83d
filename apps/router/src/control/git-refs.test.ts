import { join } from 'node:path';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PushCluster } from './git.fixture.js';

let pushes: PushCluster;

beforeAll(async () => {
  pushes = await PushCluster.start();
});
beforeEach(() => pushes.reset());
afterAll(() => pushes?.stop());

const MODULE = 'export default (req, res) => res.end()';

describe('branches', () => {
  it('other than main, and tags, are stored and not deployed, which is said', async () => {
    const folder = await pushes.folder('branches', { 'index.js': MODULE });
    const { text } = await folder.git('push', 'kiln', 'main:feature/x', 'main:refs/tags/v1');
    expect(text).toContain('only main is deployed: feature/x is stored and not deployed; to deploy it: git push kiln feature/x:main');
    expect(text).toContain(
      "only main is deployed: the tag v1 is stored and not deployed; to deploy it: git push kiln 'v1^{}:refs/heads/main'",
    );
    expect(pushes.sent).toEqual([]);
    expect((await folder.git('ls-remote', 'kiln')).text).toContain('refs/heads/feature/x');
    // As it is printed, also for a tag that is an object of its own.
    await folder.git('tag', '--annotate', '--message', 'two', 'v2');
    await folder.git('push', 'kiln', 'v2');
    await folder.git('push', 'kiln', 'v2^{}:refs/heads/main');
    expect(pushes.sent.length).toBe(1);
    await folder.git('push', 'kiln', ':feature/x');
  });

  it('main can be pushed from any, and can’t be deleted', async () => {
    const folder = await pushes.folder('deleted', { 'index.js': MODULE });
    await folder.git('switch', '--quiet', '--create', 'work');
    await folder.git('push', 'kiln', 'work:main');
    expect(pushes.sent.length).toBe(1);
    const { code, text } = await folder.run(['push', 'kiln', ':main']);
    expect([code, text]).toEqual([1, expect.stringContaining('main cannot be deleted')]);
    expect((await folder.git('ls-remote', 'kiln')).text).toContain('refs/heads/main');
  });

  it('a forced push is deployed, with a note; one that is not forced is git’s to refuse', async () => {
    const folder = await pushes.folder('forced', { 'index.js': MODULE });
    await folder.git('push', 'kiln', 'main');
    await folder.write({ 'index.js': `${MODULE} // other` });
    await folder.git('commit', '--quiet', '--all', '--amend', '--message', 'another first');
    expect((await folder.run(['push', 'kiln', 'main'])).text).toContain('non-fast-forward');
    expect(pushes.sent.length).toBe(1);
    const { text } = await folder.git('push', '--force', 'kiln', 'main');
    expect(text).toContain('note: this push is forced');
    expect(text).toContain('version 2 serves');
  });
});

describe('pushes at once to one project', () => {
  it('wait for each other, which is said; one that continues from the other is deployed after it', async () => {
    const folder = await pushes.folder('queue', { 'index.js': MODULE });
    const held = pushes.holdBuilds();
    const first = folder.run(['push', 'kiln', 'main']);
    const response = await held;
    const commit = await folder.commit({ 'index.js': `${MODULE} // 2` });
    const again = pushes.holdBuilds();
    const lines: string[] = [];
    const second = folder.run(['push', 'kiln', 'main'], undefined, (text) => lines.push(text));
    await until('it says that it waits', () => lines.join('').includes('waiting for another push to "queue"'));
    pushes.finish(response);
    expect((await first).code).toBe(0);
    pushes.finish(await again);
    const { code, text } = await second;
    expect(code, text).toBe(0);
    expect(text).toContain('queue: version 2 serves');
    expect((await folder.git('ls-remote', 'kiln', 'main')).text).toContain(commit);
  });

  it('one that would undo the other is refused, and one whose forerunner failed goes on', async () => {
    const folder = await pushes.folder('race', { 'index.js': MODULE });
    await folder.git('push', 'kiln', 'main');
    const other = await pushes.clone('race');
    await folder.commit({ 'index.js': 'a' });
    await other.commit({ 'index.js': 'b' });
    const held = pushes.holdBuilds();
    const first = folder.run(['push', 'kiln', 'main']);
    const response = await held;
    const lines: string[] = [];
    const second = other.run(['push', 'kiln', 'main'], undefined, (text) => lines.push(text));
    await until('it waits', () => lines.join('').includes('waiting'));
    pushes.finish(response);
    expect((await first).code).toBe(0);
    const { code, text } = await second;
    expect([code, text]).toEqual([1, expect.stringContaining('another push has moved main in the meantime')]);
    await other.git('pull', '--quiet', '--rebase', '--strategy-option=theirs', 'kiln', 'main');
    const failing = pushes.holdBuilds();
    const third = other.run(['push', 'kiln', 'main']);
    const failed = await failing;
    const next = pushes.holdBuilds();
    const fourth = other.run(['push', 'kiln', 'main']);
    failed.end(JSON.stringify({ type: 'failed', code: 'bad_request', detail: 'no' }));
    expect((await third).code).toBe(1);
    pushes.finish(await next);
    expect((await fourth).code).toBe(0);
  });

  it('through two routers that share the repositories: the one that comes second has changed nothing', async () => {
    const folder = await pushes.folder('shared', { 'index.js': MODULE });
    await folder.git('push', 'kiln', 'main');
    const other = await pushes.clone('shared');
    await other.commit({ 'index.js': 'b' });
    await folder.commit({ 'index.js': 'a' });
    const held = pushes.holdBuilds();
    const slow = other.run(['push', 'kiln', 'main']);
    const response = await held;
    // As git does it for another router.
    const repository = join(pushes.cluster.home, 'git', 'shared.git');
    await folder.git('push', '--quiet', repository, 'main');
    pushes.finish(response);
    const { code, text } = await slow;
    expect([code, text]).toEqual([1, expect.stringContaining('another push has moved main in the meantime')]);
    expect((await pushes.cluster.api('GET', '/v1/functions/shared/traffic')).json()).toEqual([{ version: 1, weight: 100 }]);
  });

  it('are refused when too many wait already', async () => {
    const folder = await pushes.folder('crowd', { 'index.js': MODULE });
    const held = pushes.holdBuilds();
    const leaving = new AbortController();
    const running = [folder.run(['push', 'kiln', 'main'], leaving.signal)];
    await held;
    const lines: string[] = [];
    for (let i = 1; i <= 4; i += 1) {
      running.push(folder.run(['push', 'kiln', 'main'], leaving.signal, (text) => lines.push(text)));
      await until('it waits', () => lines.join('').split('waiting for').length > i);
    }
    expect((await folder.run(['push', 'kiln', 'main'])).text).toContain('4 wait already for "crowd"');
    leaving.abort();
    await Promise.all(running);
  });
});

describe('a client that leaves', () => {
  it('ends its build and its turn, and leaves nothing behind', async () => {
    const folder = await pushes.folder('left', { 'index.js': MODULE });
    const held = pushes.holdBuilds();
    const leaving = new AbortController();
    const push = folder.run(['push', 'kiln', 'main'], leaving.signal);
    const response = await held;
    const closed = new Promise((resolve) => response.once('close', resolve));
    leaving.abort();
    await Promise.all([push, closed]);
    await until('git has cleaned up', () => pushes.quarantined('left').length === 0);
    pushes.reset();
    const again = await pushes.folder('left', { 'index.js': MODULE });
    const { text } = await again.git('push', 'kiln', 'main');
    expect(text).not.toContain('waiting');
    expect(text).toContain('version 1 serves');
  });
});

describe('what can’t be deployed', () => {
  const refused = async (project: string, push: string[], folder = pushes.folder(project, { 'index.js': MODULE })) => {
    const { code, text } = await (await folder).run(push);
    expect(code).toBe(1);
    expect(pushes.sent).toEqual([]);
    expect(pushes.quarantined(project)).toEqual([]);
    return text;
  };

  it('is a link, wherever it leads, and a submodule; each is named', async () => {
    const folder = await pushes.folder('links', { 'index.js': MODULE });
    folder.write({ '../target': '/etc/passwd' });
    const id = (await folder.git('hash-object', '-w', '../target')).text.trim();
    const commit = (await folder.git('rev-parse', 'HEAD')).text.trim();
    await folder.git('update-index', '--add', '--cacheinfo', `120000,${id},data/passwords`, '--cacheinfo', `160000,${commit},sub`);
    await folder.git('commit', '--quiet', '--message', 'links');
    const text = await refused('links', ['push', 'kiln', 'main'], Promise.resolve(folder));
    expect(text).toContain('data/passwords (a link), sub (a submodule)');
  });

  it.each([
    ['..', 'hasDotdot'],
    ['.git', 'hasDotgit'],
    ['a/b', 'fullPathname'],
  ])('is a tree with an entry called %s', async (name, fault) => {
    const folder = await pushes.folder('trees', { 'index.js': MODULE });
    const blob = (await folder.git('rev-parse', 'HEAD:index.js')).text.trim();
    folder.write({ tree: Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.from(blob, 'hex')]) });
    const tree = (await folder.git('hash-object', '-t', 'tree', '-w', '--literally', 'tree')).text.trim();
    const commit = (await folder.git('commit-tree', '-m', 'x', tree)).text.trim();
    expect(await refused('trees', ['push', 'kiln', `${commit}:refs/heads/main`], Promise.resolve(folder))).toContain(fault);
  });

  it('is a file over the limit, named with it', async () => {
    const folder = pushes.folder('large', { 'index.js': MODULE, 'data/big.bin': Buffer.alloc(128 * 1024 * 1024 + 1) });
    const text = await refused('large', ['push', 'kiln', 'main'], folder);
    expect(text).toContain('data/big.bin is 129 MiB; a file may have 128 MiB');
  });
});
