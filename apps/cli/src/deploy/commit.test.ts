import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { messageOfHead } from './commit.js';

let root: string;
let folder: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kiln-commit-'));
  folder = join(root, 'function');
  mkdirSync(folder);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const PATH = process.env['PATH'];
const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
const git = (...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@example.com', ...args], {
    cwd: root,
    env: { PATH, HOME: root, GIT_CONFIG_NOSYSTEM: '1' },
    stdio: 'pipe',
  });
const message = (env: Record<string, string | undefined> = {}) => messageOfHead(folder, { inherited: { PATH, HOME: root, ...env } });

function commit(subject: string): void {
  git('init', '--quiet', '--initial-branch=main');
  write('index.js', 'first');
  git('add', '.');
  git('commit', '--quiet', '--message', subject);
}

describe('messageOfHead', () => {
  it('is the commit that the folder is at', async () => {
    commit('Search faster');
    const hash = String(git('rev-parse', 'HEAD')).slice(0, 10);
    expect(await message()).toBe(`${hash} Search faster`);
  });

  it('is marked where a file of the folder is not what was committed, or is new', async () => {
    commit('Search faster');
    writeFileSync(join(root, 'outside.txt'), 'nobody sends it');
    expect(await message()).toMatch(/ Search faster$/);
    write('index.js', 'second');
    expect(await message()).toMatch(/ Search faster \+ changes$/);
    git('checkout', '--quiet', '.');
    write('new.js', '');
    expect(await message()).toMatch(/ Search faster \+ changes$/);
  });

  it('keeps a hostile subject in one line without control characters', async () => {
    commit('a\u001b]0;title\u0007 $(touch pwned) `touch pwned` \u009b2J');
    expect(await message()).toMatch(/^[0-9a-f]{10} a \]0;title {2}\$\(touch pwned\) `touch pwned` {2}2J$/);
  });

  it('runs no program that the repository names', async () => {
    commit('x');
    git('config', 'core.fsmonitor', `touch ${join(root, 'ran')}; false`);
    git('config', 'log.showSignature', 'true');
    git('config', 'gpg.program', `touch ${join(root, 'ran')}`);
    expect(await message()).toMatch(/ x$/);
    expect(() => rmSync(join(root, 'ran'))).toThrow('ENOENT');
  });

  it('is nothing without git, without a commit, and for a folder that was never committed', async () => {
    expect(await message()).toBeUndefined();
    git('init', '--quiet', '--initial-branch=main');
    expect(await message()).toBeUndefined();
    writeFileSync(join(root, 'other.txt'), '');
    git('add', 'other.txt');
    git('commit', '--quiet', '--message', 'not of the folder');
    write('index.js', '');
    expect(await message()).toBeUndefined();
    expect(await message({ PATH: root })).toBeUndefined();
  });

  it('goes by the folder, also where a hook of another repository runs it', async () => {
    commit('mine');
    expect(await message({ GIT_DIR: join(root, 'none'), GIT_INDEX_FILE: join(root, 'none/index') })).toMatch(/ mine$/);
  });
});
