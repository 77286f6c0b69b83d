import { describe, expect, it } from 'vitest';
import { declaresArg } from '../dockerfile/build-arguments.js';
import { imagesOf } from '../dockerfile/dockerfile-images.js';
import { instructionsOf, readsOneWay } from '../dockerfile/dockerfile-text.js';
import { compiledPackage } from '../go/build-constraint.js';
import { traitsOf } from '../node/entry-text.js';
import { exportedNames } from '../node/exported-names.js';
import { portIn } from '../node/script-port.js';
import { factoryIn } from '../python/factories.js';
import { definedIn } from '../python/names.js';
import { maskOf } from '../secrets/mask.js';
import { secretRun } from '../secrets/secret-mounts.js';
import { SourceFolder } from '../source/source-folder.js';
import { detect } from './detect.js';
import { remoteSources } from './dockerfile.js';
import { binsOf } from './rust.js';
import { setsBase } from './web-app.js';

/** Bytes that are read of a file, and of the start of one. */
const WHOLE = 1024 * 1024;
const START = 256 * 1024;
/** What takes time that grows with the square of its length takes minutes at these lengths. */
const SOON_MS = 3000;

/** Texts on which an expression that tries more than once is slow. */
const PIECES = [
  ' ',
  '\t',
  '\n',
  '\n ',
  '#',
  '# escape=\t',
  '#A=\t',
  '=',
  '==',
  "'",
  '"',
  '\\ ',
  '\\\n',
  '/*',
  '//',
  '(',
  '{',
  '[',
  ']:',
  ',',
  '.',
  '/',
  'a',
  'a.',
  'a=',
  'a="',
  'from a import ',
  'from ',
  ' import ',
  ' import a',
  'def ',
  'async ',
  'handler ',
  'handler:a',
  'app:',
  'export ',
  'export\n',
  'export function\t',
  'export const a=',
  'export const a={ ',
  'export const a = async ',
  'exports.a ',
  'module.exports ',
  'require.main',
  '.listen (',
  '.listen({s',
  'serve({ port',
  'serve({ port ',
  'serve(aport:',
  'const port ',
  'const port = 3000 ',
  'ARG ',
  'ARG A ',
  'ARG A=$A$A ',
  'ADD ',
  'ONBUILD ',
  'COPY --a ',
  'FROM ',
  '--mount=type=secret,id=a ',
  '--a ',
  '${a:-',
  '$a',
  'require ',
  'a.b',
  'a./\n',
  '=> ',
  '-r',
  'x.whl',
];
const ENDS = ['', '\u0000', 'x', '}', '\n'];
/** All are tried at this length, and the slowest at the limit. */
const TRIAL = 32 * 1024;
const SLOWEST = 3;

interface Input {
  start: string;
  piece: string;
  end: string;
}

function inputs(starts: readonly string[]): Input[] {
  return starts.flatMap((start) => PIECES.flatMap((piece) => ENDS.map((end) => ({ start, piece, end }))));
}

const textOf = ({ start, piece, end }: Input, length: number) => start + piece.repeat(length / piece.length) + end;

function timed(look: (text: string) => unknown, input: Input, length: number): number {
  const text = textOf(input, length);
  const began = performance.now();
  try {
    look(text);
  } catch {
    // Refused: that is an answer, too.
  }
  return performance.now() - began;
}

describe('a file of the worst kind does not hold up the process that looks at it', () => {
  it.each<[string, number, readonly string[], (text: string) => unknown]>([
    ['a Python module', WHOLE, ['', 'from ', 'handler'], (text) => definedIn(text, ['handler', 'app', 'application'])],
    ['a factory of Python', WHOLE, ['', 'def create_app('], factoryIn],
    ['a Dockerfile', WHOLE, ['', 'RUN ', '#A='], instructionsOf],
    ['a Dockerfile’s directives', WHOLE, ['', '# '], readsOneWay],
    ['a Dockerfile’s images', WHOLE, ['', 'ARG ', 'FROM ', 'ARG A=aa\nFROM '], (text) => imagesOf(text, {})],
    ['a Dockerfile’s ADD', WHOLE, ['', 'ADD '], remoteSources],
    ['a Dockerfile’s ARG', WHOLE, ['', 'ARG '], (text) => declaresArg(text, 'BASE_PATH')],
    ['a RUN with secrets', 64 * 1024, ['', '--mount=type=secret,id=a '], secretRun],
    ['a module', START, ['', 'from', 'import(', 'require('], traitsOf],
    ['a configuration of Vite', START, ['', 'base'], setsBase],
    ['a module’s exports', START, ['', 'export const a = 1\n'], exportedNames],
    ['Cargo.toml', WHOLE, ['', '[[bin]]\nname'], (text) => binsOf({ files: [], has: () => false }, text)],
    ['the head of a Go file', START, ['', '//go:build ', '// +build '], (text) => compiledPackage('a.go', text)],
    ['a start script', 9000, ['', 'npm run ', 'PORT='], (text) => portIn(text, {})],
    ['a build’s secret', 256 * 1024, ['', 'A='], (text) => maskOf([Buffer.from(text)])('x')],
  ])('%s', (_name, length, starts, look) => {
    const trials = inputs(starts).map((input) => ({ input, ms: timed(look, input, Math.min(TRIAL, length)) }));
    for (const { input } of trials.sort((a, b) => b.ms - a.ms).slice(0, SLOWEST)) {
      expect(timed(look, input, length), JSON.stringify(input)).toBeLessThan(SOON_MS);
    }
  });

  it('go.mod and requirements.txt, by the detectors that read them', async () => {
    for (const [name, beside, content] of [
      ['go.mod', 'main.go', 'package main\n'],
      ['requirements.txt', 'app.py', 'app = 1\n'],
    ] as const) {
      for (const text of inputs([''])
        .filter(({ end }) => end === 'x')
        .map((input) => textOf(input, WHOLE))) {
        const files = [name, beside].map((path) => ({ path, size: 10, executable: false, hash: 'x' }));
        const folder = new SourceFolder('', files, async (path) => Buffer.from(path === name ? text : content));
        const began = performance.now();
        const plan = await detect(folder, {}).catch(() => undefined);
        plan?.dockerfile?.({ preparedImage: 'x', functionName: 'x' });
        expect(performance.now() - began, JSON.stringify(text.slice(0, 20))).toBeLessThan(SOON_MS);
      }
    }
  });

  it('an entry that names no Go package', async () => {
    const files = ['go.mod', 'main.go'].map((path) => ({ path, size: 1, executable: false, hash: 'x' }));
    const folder = new SourceFolder('', files, async () => Buffer.from('package main\n'));
    const began = performance.now();
    for (const entry of [`${'a'.repeat(1000)}\u0000`, `${'a/'.repeat(500)}\u0000`, '.'.repeat(1024)])
      await detect(folder, { entry }).catch(() => undefined);
    expect(performance.now() - began).toBeLessThan(SOON_MS);
  });

  it('a folder with a program of Go in each of thousands of folders', async () => {
    const paths = ['go.mod', ...Array.from({ length: 20_000 }, (_, i) => `cmd/c${i}/main.go`)];
    const files = paths.map((path) => ({ path, size: 1, executable: false, hash: 'x' }));
    const folder = new SourceFolder('', files, async () => Buffer.from('package other\n'));
    const began = performance.now();
    await detect(folder, {}).catch(() => undefined);
    expect(performance.now() - began).toBeLessThan(SOON_MS);
  });
});

it('variables of a Dockerfile that double at each step are refused', () => {
  const doubling = Array.from({ length: 40 }, (_, i) => `ARG A${i + 1}=$A${i}$A${i}`).join('\n');
  expect(() => imagesOf(`ARG A0=aa\n${doubling}\nFROM $A40\n`, {})).toThrowError(/longer than 8192 characters/);
});
