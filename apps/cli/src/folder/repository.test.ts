import { chmodSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepare } from '../deploy/prepare.js';
import { tell } from '../failure.js';
import { foldersIn } from '../up/deploy-folders.js';
import type { Project } from './project.js';
import { readProjects } from './repository.js';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kiln-repository-'));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function write(files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

async function refusal(action: () => Promise<unknown>) {
  try {
    await action();
  } catch (error) {
    return tell(error);
  }
  throw new Error('was not refused');
}

describe('readProjects', () => {
  const found = async () =>
    (await readProjects(root)).map(({ folder, functions, project }) => [
      relative(root, folder),
      functions.map(({ name }) => name),
      project,
    ]);

  it('finds every folder with a kiln.json below one that is no function itself', async () => {
    write({
      'kiln.json': '{"project":"shop"}',
      'functions/web/kiln.json': '{}',
      'functions/api/kiln.json': '{"functions":[{"name":"a"},{"name":"b"}]}',
      'functions/api/nested/kiln.json': '{}',
      'deep/down/in/it/kiln.json': '{"name":"deep","project":"other"}',
      'no-function/index.js': '',
    });
    expect(await found()).toEqual([
      ['deep/down/in/it', ['deep'], 'other'],
      ['functions/api', ['a', 'b'], 'shop'],
      ['functions/web', ['web'], 'shop'],
    ]);
  });

  it('finds the functions of a repository below it, which is one for itself', async () => {
    write({ 'a/kiln.json': '{}', 'shop/kiln.json': '{"project":"shop"}', 'shop/web/kiln.json': '{}', 'shop/web/index.js': '' });
    expect(await found()).toEqual([
      ['a', ['a'], undefined],
      ['shop/web', ['web'], 'shop'],
    ]);
  });

  it('finds in the examples what kiln up --deploy examples finds', async () => {
    const examples = join(import.meta.dirname, '../../../../examples');
    const names = (projects: Project[]) => projects.flatMap(({ functions }) => functions.map(({ name }) => name)).sort();
    const each = await Promise.all((await foldersIn(examples)).map((folder) => readProjects(folder)));
    expect(names(await readProjects(examples))).toEqual(names(each.flat()));
  });

  it('leaves out what the ignore files name, node_modules and hidden folders', async () => {
    write({ '.kilnignore': 'old/\n', 'old/a/kiln.json': '{}', 'node_modules/b/kiln.json': '{}', '.git/c/kiln.json': '{}' });
    write({ 'new/d/kiln.json': '{}' });
    expect(await found()).toEqual([['new/d', ['d'], undefined]]);
  });

  it.each([
    [{ 'index.js': '' }],
    [{ 'handler.py': 'def handler(event):\n  return event\n' }],
    [{ 'index.html': '' }],
    [{ 'go.mod': 'module x', 'main.go': 'package main' }],
    [{ Dockerfile: 'FROM scratch' }],
    [{ 'kiln.json': '{"name":"upper"}', 'index.js': '' }],
    [{ 'kiln.json': '{"functions":[{"name":"upper"}]}' }],
  ])('takes a folder with %j for one project, whatever lies below it', async (files) => {
    const all = { ...(files as unknown as Record<string, string>), 'below/kiln.json': '{}' };
    write(Object.fromEntries(Object.entries(all).map(([path, content]) => [`upper/${path}`, content])));
    const projects = await readProjects(join(root, 'upper'));
    expect(projects.map(({ functions }) => functions.map(({ name }) => name))).toEqual([['upper']]);
  });

  it.each(['No Name', 7])('refuses the project %j', async (project) => {
    write({ 'kiln.json': JSON.stringify({ project }), 'a/kiln.json': '{}' });
    expect((await refusal(found)).message).toContain('kiln.json.project');
  });
});

describe('prepare', () => {
  const digests = async (selection = {}) =>
    Object.fromEntries((await prepare(root, selection)).map(({ name, sourceDigest }) => [name, sourceDigest]));

  it('refuses two folders that declare the same function', async () => {
    write({ 'a/kiln.json': '{"name":"same"}', 'a/index.js': '', 'b/kiln.json': '{"name":"same"}', 'b/index.js': '' });
    expect((await refusal(() => prepare(root))).message).toContain('declare a function "same"');
  });

  it('takes those named and looks at no other', async () => {
    write({ 'a/kiln.json': '{}', 'a/index.js': '', 'b/kiln.json': '{}', 'c/kiln.json': '{}', 'c/index.js': '' });
    expect(Object.keys(await digests({ only: ['a', 'c'] }))).toEqual(['a', 'c']);
    const told = await refusal(() => prepare(root, { only: ['a', 'd'] }));
    expect(told).toMatchObject({ message: 'no function here is called d', fix: 'choose among: a, b, c', exitCode: 2 });
    expect((await refusal(() => prepare(root))).message).toContain('nothing in');
  });

  describe('the digest', () => {
    const two = (memory: number) =>
      JSON.stringify({
        functions: [
          { name: 'a', env: { X: '1', Y: '2' } },
          { name: 'b', memory },
        ],
      });

    it('stays where nothing changed that the function depends on', async () => {
      write({ 'kiln.json': two(128), 'index.js': 'x', '.kilnignore': '*.log\n' });
      const before = await digests();
      utimesSync(join(root, 'index.js'), 1, 1);
      chmodSync(join(root, 'index.js'), 0o600);
      write({ 'debug.log': 'left out', 'node_modules/x/index.js': '' });
      write({ 'kiln.json': ` ${two(256).replace('"X":"1","Y":"2"', '"Y":"2","X":"1"')}\n` });
      const after = await digests();
      expect(after['a']).toBe(before['a']);
      expect(after['b']).not.toBe(before['b']);
    });

    it.each<[string, () => void]>([
      ['a content', () => write({ 'index.js': 'y' })],
      ['a path', () => write({ 'other.js': 'x' })],
      ['a mode', () => chmodSync(join(root, 'index.js'), 0o755)],
      ['a key of the configuration', () => write({ 'kiln.json': '{"name":"a","memory":128}' })],
      ['what is left out', () => write({ '.kilnignore': 'text\n' })],
    ])('is another after a change of %s', async (_what, change) => {
      write({ 'kiln.json': '{"name":"a"}', 'index.js': 'x', text: '' });
      const before = await digests();
      change();
      expect((await digests())['a']).not.toBe(before['a']);
    });

    it('tells files apart whose names and contents run into one another', async () => {
      write({ 'kiln.json': '{"name":"a"}', 'index.js': '', ab: 'c' });
      const before = await digests();
      rmSync(join(root, 'ab'));
      write({ a: 'bc' });
      expect((await digests())['a']).not.toBe(before['a']);
    });
  });
});
