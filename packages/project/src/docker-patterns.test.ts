import { describe, expect, it } from 'vitest';
import { ignoreRules, isSent } from './ignore-rules.js';
import { ignoredPaths } from './ignored-paths.js';

const sent = (dockerignore: string, paths: string[], kilnignore?: string) => {
  const rules = ignoreRules(dockerignore, kilnignore);
  return paths.filter((path) => isSent(path, rules));
};

describe('a .dockerignore', () => {
  it('takes files back from a folder that it leaves out, and the folder is looked into', async () => {
    const text = '# nothing but what is named\n*\n!server/index.js\n!package.json\n';
    const paths = ['notes.md', 'package.json', 'server/', 'server/index.js', 'server/index.test.js', 'other/', 'other/index.js'];
    const right = ['package.json', 'server/', 'server/index.js'];
    expect(sent(text, paths)).toEqual(right);
    const ignored = await ignoredPaths({ dockerignore: text, kilnignore: undefined }, paths);
    expect(
      paths.filter((path) => !ignored.has(path)),
      'the same at the other end',
    ).toEqual(right);
  });

  it.each([
    ['the last pattern that matches wins', '*.md\n!a*.md\nab.md', ['a.md', 'ab.md', 'b.md'], ['a.md']],
    ['a pattern is rooted, with a slash or without', 'x\n/y\n./z/', ['x', 'y/a', 'z/a', 'd/x', 'd/y'], ['d/x', 'd/y']],
    ['two stars are any number of folders', '**/*.log\na/**/b', ['x.log', 'd/e/x.log', 'a/b', 'a/c/d/b', 'a/c'], ['a/c']],
    ['two stars at the end are all that begins so', 'a/**\nq**', ['a/b/c', 'a', 'quick/x', 'd/q'], ['a', 'd/q']],
    ['?, classes and escapes', 'a?c\n[x-z]1\n\\*\n[^k]2', ['abc', 'a/c', 'y1', 'k1', '*', 'm', 'j2', 'k2'], ['a/c', 'k1', 'm', 'k2']],
    ['dots and double slashes are cleaned', 'a//b/../c\n! keep', ['a/c', 'a/b'], ['a/b']],
    [
      'two stars before a name are any beginning of it, and not the name without its dot',
      '**.log',
      ['a.log', 'd/b.log', 'log/a'],
      ['log/a'],
    ],
    ['a line of blanks and a comment say nothing', '  \n#a\n  b  ', ['#a', 'b'], ['#a']],
    ['signs of regular expressions are plain', 'a.b\n(x|y)+', ['a.b', 'axb', '(x|y)+', 'xy'], ['axb', 'xy']],
  ])('%s', (_what, text, paths, right) => {
    expect(sent(text, paths)).toEqual(right);
  });

  it.each(['[a', '!', 'a[]', 'x\\'])('with %j is refused, as by Docker, with the number of the line', (line) => {
    expect(() => ignoreRules(`a\n${line}\n`)).toThrowError(/^\.dockerignore: line 2, .*no pattern to Docker$/);
  });

  it('brings along what is never sent unasked only by its name', () => {
    const paths = ['.env', 'src/.env', 'src/a.js', 'node_modules/m/i.js', '.git/HEAD'];
    expect(sent('*\n!src\n!**\n!**/*.js\n', paths)).toEqual(['src/a.js']);
    expect(sent('**/.git\n!.git/HEAD\n!.git/refs/heads/**\n', paths)).toEqual(['src/a.js']);
    expect(sent('!src/.env\n!node_modules/m\n', paths)).toEqual(['src/.env', 'src/a.js', 'node_modules/m/i.js']);
    expect(sent('*\n!.env*\n!src\n!node_modules\n', paths)).toEqual(['.env', 'src/a.js', 'node_modules/m/i.js']);
  });

  it('is overruled by .kilnignore, which takes nothing back from a folder that is left out, as git has it', () => {
    const paths = ['a.md', 'd/a.md', 'd/b.js', 'e/c.js'];
    expect(sent('**/*.md\ne\n', paths, '!a.md\n!e/c.js\n')).toEqual(['a.md', 'd/a.md', 'd/b.js']);
    expect(sent('*\n!d/b.js\n!d/a.md\n', paths, '*.md\n')).toEqual(['d/b.js']);
  });
});
