// Who may import whom: the rules are in .dependency-cruiser.cjs. Here besides: no circle of folders, how much a folder may hold, and
// that a type's name is exported once; and that what the documentation calls pure imports nothing that acts. A checker that looked at nothing would pass everything, so the modules seen are counted.
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';

const SOURCE = /^(apps|packages)\/[^/]+\/src\/.*\.ts$/;
const TEST = /\.(test|fixture)\.ts$/;
const MAX_FILES = 15;
/** Decides, and is on neither way. */
const PURE_BESIDES = ['apps/cli/src/invoke/address.ts'];
/** Of Node, and without any effect. */
const HARMLESS = new Set(['util', 'node:util', 'path', 'node:path']);
/** Each with its reason. */
const MAY_HOLD_MORE = new Map([['apps/cli/src/commands', 'one file for each command']]);

const files = globSync('{apps,packages}/*/src/**/*.ts');
const { modules, summary } = JSON.parse(
  execFileSync('node_modules/.bin/depcruise', ['--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'apps', 'packages'], {
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  }),
);
const seen = modules.filter(({ source, dependencies }) => SOURCE.test(source) && dependencies.length > 0);
const sources = modules.filter(({ source }) => SOURCE.test(source) && !TEST.test(source));
const faults = [
  ...summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`),
  ...circles(folderImports()),
  ...fullFolders(),
  ...typesExportedTwice(),
  ...impureFiles(),
];
const expected = Math.floor(files.length * 0.7);
if (seen.length < expected) faults.push(`only ${seen.length} of ${files.length} files were seen to import anything: the checker is blind`);
for (const fault of faults) console.error(fault);
console.log(`architecture: ${files.length} files, ${seen.length} with imports, ${faults.length} faults`);
process.exitCode = faults.length > 0 ? 1 : 0;

/** A file that lies directly in `src` composes the folders below it: it stands for itself. */
function roomOf(file) {
  const folder = dirname(file);
  return folder.endsWith('/src') && folder.split('/').length === 3 ? file : folder;
}

/** From each folder to the folders that its files import, types included. */
function folderImports() {
  const imports = new Map();
  for (const { source, dependencies } of sources) {
    const from = roomOf(source);
    const to = imports.get(from) ?? new Set();
    imports.set(from, to);
    for (const { resolved } of dependencies) {
      if (SOURCE.test(resolved) && roomOf(resolved) !== from) to.add(roomOf(resolved));
    }
  }
  return imports;
}

/** One line for each folder that can be reached from itself. */
function circles(imports) {
  const found = [];
  for (const start of imports.keys()) {
    const way = wayBack(start, imports);
    if (way !== undefined && start === [...way].sort()[0]) found.push(`circle of folders: ${[...way, start].join(' -> ')}`);
  }
  return found;
}

function wayBack(start, imports) {
  const ways = [[start]];
  const reached = new Set();
  for (const way of ways) {
    for (const next of imports.get(way.at(-1)) ?? []) {
      if (next === start) return way;
      if (reached.has(next)) continue;
      reached.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

function fullFolders() {
  const counts = Map.groupBy(sources, ({ source }) => dirname(source));
  return [...counts]
    .filter(([folder, { length }]) => length > MAX_FILES && !MAY_HOLD_MORE.has(folder))
    .map(([folder, { length }]) => `${folder} holds ${length} source files, and may hold ${MAX_FILES}: it has a second subject`);
}

function typesExportedTwice() {
  const places = new Map();
  for (const file of files) {
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/^export (?:abstract )?(?:interface|type|class|enum) (\w+)\b/gm))
      places.set(name, [...(places.get(name) ?? []), file]);
  }
  return [...places]
    .filter(([, { length }]) => length > 1)
    .map(([name, where]) => `the type ${name} is exported by ${where.join(' and ')}`);
}

/** Files that the pages of the ways call pure: nothing that they import, or that is imported there, may be of Node or a library. */
function impureFiles() {
  const bySource = new Map(modules.map((module) => [module.source, module]));
  const rows = ['docs/request.md', 'docs/deployment.md'].flatMap((page) => readFileSync(page, 'utf8').split('\n'));
  const called = rows.filter((row) => row.includes('(pure)')).map((row) => /`([^`]+)`/.exec(row)[1]);
  const pure = [...called, ...PURE_BESIDES];
  if (called.length === 0) return ['no file is called pure: the checker is blind'];
  return pure.flatMap((file) => {
    const acting = whatActs(file, bySource, new Set());
    return acting === undefined ? [] : [`${file} is called pure and imports ${acting}`];
  });
}

function whatActs(source, bySource, seen) {
  seen.add(source);
  for (const { resolved, coreModule, dependencyTypes } of bySource.get(source)?.dependencies ?? []) {
    if (dependencyTypes.includes('type-only') || /^packages\/contract\//.test(resolved)) continue;
    if (coreModule && HARMLESS.has(resolved)) continue;
    if (coreModule || resolved.includes('node_modules')) return resolved;
    const acting = seen.has(resolved) ? undefined : whatActs(resolved, bySource, seen);
    if (acting !== undefined) return acting;
  }
  return undefined;
}
