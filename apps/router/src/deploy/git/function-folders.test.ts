import { ignoreRules } from '@kiln/project/ignore-rules';
import { describe, expect, it } from 'vitest';
import type { TreeEntry } from './commit-tree.js';
import { functionFolders } from './function-folders.js';

function foldersOf(paths: string[], root: { rootJson?: object; manifest?: string; kilnignore?: string } = {}): string[] {
  const entries = paths.map((path): TreeEntry => ({ path, kind: 'file', id: '', size: 0, executable: false }));
  const { rootJson, manifest, kilnignore } = root;
  return functionFolders(entries, { rootJson, manifest, rules: ignoreRules(undefined, kilnignore) }).map(({ path }) => path);
}

describe('functionFolders', () => {
  it.each([
    [['index.js', 'a/kiln.json'], {}],
    [['Dockerfile', 'a/kiln.json'], {}],
    [['lib/start.js', 'package.json', 'a/kiln.json'], { manifest: '{"main":"./lib/start.js"}' }],
    [['kiln.json', 'a/kiln.json'], { rootJson: { name: 'x' } }],
    [['README.md'], {}],
    [['package.json', 'src/index.js'], { manifest: '{' }],
  ])('takes the root for %j', (paths, root) => {
    expect(foldersOf(paths, root)).toEqual(['']);
  });

  it('takes the folders with a kiln.json where the root only names a project or is a workspace', () => {
    const paths = ['package.json', 'kiln.json', 'b/kiln.json', 'functions/a/kiln.json', 'functions/a/index.js', 'docs/index.js'];
    expect(foldersOf(paths, { rootJson: { project: 'shop' }, manifest: '{"workspaces":["functions/*"]}' })).toEqual(['b', 'functions/a']);
  });

  it('leaves what lies below a function to it, and looks neither into hidden nor into ignored folders', () => {
    const paths = ['a/kiln.json', 'a/b/kiln.json', '.x/kiln.json', 'node_modules/y/kiln.json', 'old/kiln.json', '1/2/3/4/5/6/7/kiln.json'];
    expect(foldersOf(paths, { kilnignore: 'old\n' })).toEqual(['a']);
  });

  it('gives paths relative to the folder', () => {
    const entries = ['f/kiln.json', 'f/lib/x.js', 'g/y.js'].map(
      (path): TreeEntry => ({ path, kind: 'file', id: '', size: 0, executable: false }),
    );
    const [folder] = functionFolders(entries, { rootJson: undefined, manifest: undefined, rules: ignoreRules(undefined, undefined) });
    expect(folder?.entries.map(({ path }) => path)).toEqual(['kiln.json', 'lib/x.js']);
  });
});
