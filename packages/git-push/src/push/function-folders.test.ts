import { ignoredPaths } from '@kiln/project/ignored-paths';
import { describe, expect, it } from 'vitest';
import type { TreeEntry } from './commit-tree.js';
import { functionFolders } from './function-folders.js';

interface Root {
  rootJson?: object;
  kilnignore?: string;
  isFunction?: boolean;
  projects?: Record<string, string>;
}

async function foldersOf(paths: string[], { rootJson, kilnignore, isFunction = false, projects = {} }: Root = {}): Promise<string[]> {
  const entries = paths.map((path): TreeEntry => ({ path, kind: 'file', id: '', size: 0, executable: false }));
  const ignored = (folders: readonly string[]) => ignoredPaths({ dockerignore: undefined, kilnignore }, folders);
  const root = { rootJson, isFunction: async () => isFunction, projectAlone: async (path: string) => projects[path], ignored };
  return (await functionFolders(entries, root)).map(({ path }) => path);
}

describe('functionFolders', () => {
  it.each([
    [['index.js', 'a/kiln.json'], { isFunction: true }],
    [['kiln.json', 'a/kiln.json'], { rootJson: { name: 'x' } }],
    [['README.md'], {}],
    [['package.json', 'src/index.js'], { isFunction: true }],
  ])('takes the root for %j', async (paths, root) => {
    expect(await foldersOf(paths, root)).toEqual(['']);
  });

  it('takes the folders with a kiln.json where the root only names a project', async () => {
    const paths = ['package.json', 'kiln.json', 'b/kiln.json', 'functions/a/kiln.json', 'functions/a/index.js', 'docs/index.js'];
    expect(await foldersOf(paths, { rootJson: { project: 'shop' } })).toEqual(['b', 'functions/a']);
  });

  it('takes what lies below a folder that only names a project, as kiln deploy does', async () => {
    const paths = ['a/kiln.json', 'shop/kiln.json', 'shop/web/kiln.json', 'shop/web/x/kiln.json', 'sole/kiln.json'];
    expect(await foldersOf(paths, { projects: { shop: 'shop', sole: 'sole' } })).toEqual(['a', 'shop/web', 'sole']);
  });

  it('leaves what lies below a function to it, and looks neither into hidden nor into ignored folders', async () => {
    const paths = ['a/kiln.json', 'a/b/kiln.json', '.x/kiln.json', 'node_modules/y/kiln.json', 'old/kiln.json', '1/2/3/4/5/6/7/kiln.json'];
    expect(await foldersOf(paths, { kilnignore: 'old\n' })).toEqual(['a']);
  });

  it('refuses more folders than a push may have functions, however many they are', async () => {
    const paths = Array.from({ length: 50_000 }, (_, i) => `f${i}/kiln.json`);
    await expect(foldersOf(paths)).rejects.toMatchObject({ code: 'bad_request', message: expect.stringContaining('50000 folders') });
  });

  it('gives paths relative to the folder', async () => {
    const entries = ['f/kiln.json', 'f/lib/x.js', 'g/y.js'].map(
      (path): TreeEntry => ({ path, kind: 'file', id: '', size: 0, executable: false }),
    );
    const [folder] = await functionFolders(entries, {
      rootJson: undefined,
      isFunction: async () => false,
      projectAlone: async () => undefined,
      ignored: async () => new Set(),
    });
    expect(folder?.entries.map(({ path }) => path)).toEqual(['kiln.json', 'lib/x.js']);
  });
});
