import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../../packages/contract/src/errors.js';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** Targets of links that stay in the repository, without their fragment. */
function linksOf(file: string): string[] {
  return [
    ...read(file)
      .replaceAll(/`[^`\n]*`/g, '')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ]
    .map(([, target]) => (target as string).split('#')[0] as string)
    .filter((target) => target !== '' && !/^[a-z]+:/.test(target))
    .map((target) => relative(ROOT, join(ROOT, dirname(file), target)));
}

/** Files named in code marks: `apps/…` or `packages/…` with an ending. */
function filesNamedIn(file: string): string[] {
  return [...read(file).matchAll(/`((?:apps|packages|infra|scripts|examples|e2e)\/[\w./-]+\.\w+)`/g)].map(([, path]) => path as string);
}

const PAGES = globSync(['*.md', 'docs/**/*.md', 'infra/**/*.md', 'examples/**/*.md'], { cwd: ROOT, exclude: ['**/node_modules/**'] });

describe('the documentation', () => {
  it.each(PAGES)('%s links and names only files that exist', (page) => {
    expect([...linksOf(page), ...filesNamedIn(page)].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('docs/request.md names every file of the two folders called invoke', () => {
    const named = new Set(filesNamedIn('docs/request.md'));
    const sources = globSync('apps/*/src/invoke/**/*.ts', { cwd: ROOT }).filter((path) => !/\.(test|fixture)\.ts$/.test(path));
    expect(sources.length).toBeGreaterThan(0);
    expect(sources.filter((path) => !path.startsWith('apps/cli/') && !named.has(path))).toEqual([]);
  });

  it('gives each decision a number of its own, the one in its name', () => {
    const decisions = globSync('docs/adr/*.md', { cwd: ROOT }).sort();
    const numbers = decisions.map((page) => Number(/\/(\d{4})-/.exec(page)?.[1]));
    expect(numbers).toEqual(decisions.map((_page, i) => i + 1));
    expect(decisions.map((page) => Number(/^# (\d+)\. /.exec(read(page))?.[1]))).toEqual(numbers);
  });

  it('names every variable that routers, agents and the command line read', () => {
    const matches = ['router', 'agent', 'cli'].flatMap((app) => [...read(`apps/${app}/src/config.ts`).matchAll(/\b(KILN_[A-Z_]+):/g)]);
    const variables = new Set(matches.map(([, name]) => name as string));
    const told = new Set([...read('docs/reference/environment.md').matchAll(/`(KILN_[A-Z_]+)`/g)].map(([, name]) => name));
    expect(variables.size).toBeGreaterThan(20);
    expect([...variables].filter((name) => !told.has(name))).toEqual([]);
  });

  it('has an entry with the right status for every error code, and for no other', () => {
    const entries = [...read('docs/reference/errors.md').matchAll(/^## (\w+)\n\n(\d{3})/gm)].map(([, code, status]) => [
      code,
      Number(status),
    ]);
    expect(Object.fromEntries(entries)).toEqual(Object.fromEntries(Object.entries(ERRORS).map(([code, { status }]) => [code, status])));
  });
});

describe('the build of an image', () => {
  it('has no tools of tests, so every package leaves its tests and fixtures out', () => {
    const configs = globSync(['apps/*/tsconfig.json', 'packages/*/tsconfig.json'], { cwd: ROOT }).filter(
      (file) => !file.includes('packages/testing'),
    );
    expect(configs.length).toBeGreaterThan(10);
    expect(configs.filter((file) => !/test\.ts.*fixture\.ts/s.test(read(file)))).toEqual([]);
  });
});
