import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainLoadFailure } from './load-failure.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'kiln-load-')));
const runner = join(folder, 'runner.mjs');

// The bundle as images have it: its own frames are among those that are left out.
beforeAll(() => void execFileSync(process.execPath, [join(import.meta.dirname, '../../build.mjs'), runner]));
afterAll(() => rmSync(folder, { recursive: true }));

let projects = 0;
/** What is said of a project whose module does not load. */
function failureOf(files: Record<string, string>, entry = 'index.mjs'): string {
  const root = join(folder, `project-${projects++}`);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const { status, stderr } = spawnSync(process.execPath, [runner, 'describe', entry], { cwd: root, encoding: 'utf8' });
  expect(status).toBe(1);
  return stderr.trimEnd();
}

describe('explainLoadFailure', () => {
  const broken = 'export const hello = {\n  func: async (req, res) => {\n    res.json({ hello: "x" );\n  },\n};\n';

  it.each([
    ['of the module itself', { 'index.mjs': broken }, 'index.mjs', 'index.mjs:3:27'],
    [
      'of a module that it imports',
      { 'index.mjs': 'import "./lib/a.mjs";\nthrow new Error("it ran");', 'lib/a.mjs': broken },
      'index.mjs',
      'lib/a.mjs:3:27',
    ],
    [
      'of one it requires',
      { 'index.cjs': 'require("./lib/a.cjs");', 'lib/a.cjs': broken.replace('export const hello', 'exports.hello') },
      'index.cjs',
      'lib/a.cjs:3:27',
    ],
  ])('names file, line and column of a syntax error %s, and shows the lines', (_where, files, entry, place) => {
    const text = failureOf(files as Record<string, string>, entry);
    expect(text.split('\n').slice(0, 2)).toEqual(["SyntaxError: Unexpected token ')'", `    at ${place}`]);
    expect(text).toContain('> 3 |     res.json({ hello: "x" );\n    |                           ^\n  4 |   },');
    expect(text).not.toMatch(/node:|load-failure/);
  });

  it('shows what a module throws with its own frames alone, and the line', () => {
    const text = failureOf({
      'index.mjs': 'function connect() {\n\tthrow new Error("no database", { cause: new Error("refused") });\n}\nconnect();\n',
    });
    expect(text.split('\n')).toEqual([
      'Error: no database',
      '    at index.mjs:2:8',
      '    at index.mjs:4:1',
      '',
      '  1 | function connect() {',
      '> 2 | \tthrow new Error("no database", { cause: new Error("refused") });',
      '    | \t      ^',
      '  3 | }',
      '  4 | connect();',
      '',
      'caused by Error: refused',
    ]);
  });

  it.each([
    ['a package', { 'index.mjs': '\nimport x from "left-padding/more";\n' }, 'index.mjs:2:15', 'npm install left-padding'],
    [
      'a file, and names the one that is meant',
      { 'index.mjs': 'import { x } from "./other";\n', 'other.js': '' },
      'index.mjs:1:19',
      'Did you mean to import "./other.js"?',
    ],
    ['a name', { 'index.mjs': '\n\nimport { readfile } from "node:fs";\n' }, 'index.mjs:3', "'readfile'"],
  ])('names the line of an import that finds no such thing: %s', (_what, files, place, advice) => {
    const text = failureOf(files as unknown as Record<string, string>);
    expect(text).toMatch(new RegExp(`^    at ${place}`, 'm'));
    expect(text).toContain(advice);
    expect(text).not.toMatch(/at .*node:internal/);
  });

  it('says what was thrown where that is no error', () => {
    expect(failureOf({ 'index.mjs': 'throw { status: 3 };' })).toBe('the module threw { status: 3 }\n    in index.mjs');
  });

  it('shows the part of a long line that is meant, and nothing of files that are gone', () => {
    const text = failureOf({ 'index.mjs': `${'var a = 1; '.repeat(500)} throw new Error("far right");` });
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(140);
    expect(text).toContain('throw new Error("far right")');
    const error = new Error('lost');
    error.stack = `Error: lost\n    at f (${folder}/gone.mjs:3:4)`;
    expect(explainLoadFailure(error, join(folder, 'gone.mjs'))).toBe(`Error: lost\n    at ${folder}/gone.mjs:3:4`);
  });
});
