import { mkdirSync, writeFileSync } from 'node:fs';
import type http from 'node:http';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { RunOptions } from '../control-api.fixture.js';
import { api, connected, root, withControlApi } from '../with-control-api.fixture.js';

withControlApi();

describe('several functions', () => {
  const names = ['a', 'b', 'c', 'dd'];
  let open: Map<string, http.ServerResponse>;

  beforeEach(() => {
    open = new Map();
    for (const name of names) {
      mkdirSync(join(root, name));
      for (const file of ['kiln.json', 'index.js']) writeFileSync(join(root, name, file), file === 'kiln.json' ? '{}' : '');
      api.routes.set(`POST /v1/functions/${name}/builds`, (_request, response) => {
        open.set(name, response);
        response.on('close', () => open.delete(name));
        response.write('{"type":"log","line":"Step 1/2 : FROM x"}\n');
      });
    }
  });

  const deploy = (options: RunOptions = {}, more: string[] = []) => connected(['deploy', root, ...more], options);
  const end = (name: string, last: object) => open.get(name)?.end(JSON.stringify(last));
  const done = (name: string) => ({ type: 'done', function: name, version: 1, digest: 'sha256:1', url: 'http://x/', changed: true });
  const building = (...expected: string[]) => vi.waitFor(() => expect([...open.keys()].sort()).toEqual(expected), 10_000);

  it('are built three at once, each line with its name, and listed in their order', async () => {
    const running = deploy({}, ['--verbose']);
    await building('a', 'b', 'c');
    end('c', done('c'));
    await building('a', 'b', 'dd');
    end('b', { type: 'failed', code: 'start_failed', detail: 'it threw', fix: 'look' });
    for (const name of ['dd', 'a']) end(name, done(name));
    const { code, stdout, stderr } = await running;
    expect(code).toBe(1);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { function: string }).function),
    ).toEqual(['a', 'c', 'dd']);
    expect(stderr).toMatch(/^a {2}\+\d+\.\ds {2}Step 1\/2/m);
    expect(stderr).toMatch(/^dd \+\d+\.\ds {2}Step 1\/2/m);
    expect(stderr).toMatch(/^b {2}\+\d+\.\ds {2}failed: .*it threw$/m);
    expect(stderr).toContain('b was not deployed');
  });

  it('show of the engine nothing but a bar, unless asked to', async () => {
    const running = deploy({ typed: '' });
    await building('a', 'b', 'c');
    for (const name of ['a', 'b', 'c']) end(name, done(name));
    await vi.waitFor(() => expect([...open.keys()]).toEqual(['dd']), 10_000);
    end('dd', done('dd'));
    const { stdout, stderr } = await running;
    expect(stderr).not.toMatch(/s {2}Step/);
    expect(stderr).toMatch(/\[ +\] step 1 of 2|a 1\/2/);
    expect(stdout).toMatch(/\n4 deployed\n$/);
  });

  it('are all given up at an interruption, and none is begun after it', async () => {
    const interrupted = new AbortController();
    const running = deploy({ interrupted: interrupted.signal });
    await building('a', 'b', 'c');
    interrupted.abort();
    const { code, stderr } = await running;
    expect([code, stderr]).toEqual([
      130,
      expect.stringContaining('interrupted; nothing changed; a is not deployed; b is not deployed; c is not deployed'),
    ]);
    await building();
    expect(api.seen.map(({ path }) => path)).not.toContain('/v1/functions/dd');
  });
});
