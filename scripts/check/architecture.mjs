// What dependency-cruiser has no rule for. Each rule gets what was read of the tree and returns its faults as lines.
import { dirname } from 'node:path';
import { circles, impureFiles } from './imports.mjs';

const SOURCE = /^(apps|packages)\/[^/]+\/src\/.*\.ts$/;
const NO_SOURCE = /\.(test|fixture|d)\.ts$|\.config\.ts$|\/fixtures\/|^examples\//;
const MAX_FILES = 15;

/**
 * @param files all sources of apps and packages, tests too: path to text
 * @param modules what dependency-cruiser saw of them
 * @param pages the documentation: path to text
 * @param code paths of all programs of the repository
 */
export function faultsOf({ files, modules, pages, code }) {
  const sources = modules.filter(({ source }) => SOURCE.test(source) && !NO_SOURCE.test(source));
  return [
    ...unseen(files, modules),
    ...circles(importsOf(sources, (file) => file)).map((way) => `circle of files: ${way}`),
    ...circles(importsOf(sources, roomOf)).map((way) => `circle of folders: ${way}`),
    ...fullFolders(code),
    ...typesExportedTwice(files),
    ...impureFiles({ files, modules, pages }),
  ];
}

/** A checker that looked at nothing would pass everything. */
function unseen(files, modules) {
  if (files.size === 0) return ['no source was found: the checker is blind'];
  const dependencies = new Map(modules.map((module) => [module.source, module.dependencies]));
  const blind = (file, text) => /^(import|export) [^;]*? from '/m.test(text) && dependencies.get(file)?.length === 0;
  return [...files].flatMap(([file, text]) => {
    if (!dependencies.has(file)) return [`${file} was not looked at: the checker is blind`];
    return blind(file, text) ? [`${file} was not seen to import anything: the checker is blind`] : [];
  });
}

/** A file that lies directly in `src` composes the folders below it: it stands for itself. */
function roomOf(file) {
  const folder = dirname(file);
  return folder.endsWith('/src') && folder.split('/').length === 3 ? file : folder;
}

/** From each place to the places that its files import, types included. */
function importsOf(sources, placeOf) {
  const imports = new Map();
  for (const { source, dependencies } of sources) {
    const from = placeOf(source);
    const to = imports.get(from) ?? new Set();
    imports.set(from, to);
    for (const { resolved } of dependencies) {
      if (SOURCE.test(resolved) && placeOf(resolved) !== from) to.add(placeOf(resolved));
    }
  }
  return imports;
}

function fullFolders(code) {
  const counts = Map.groupBy(
    code.filter((file) => !NO_SOURCE.test(file)),
    dirname,
  );
  return [...counts]
    .filter(([, { length }]) => length > MAX_FILES)
    .map(([folder, { length }]) => `${folder} holds ${length} source files, and may hold ${MAX_FILES}: it has a second subject`);
}

function typesExportedTwice(files) {
  const places = new Map();
  for (const [file, text] of files) {
    for (const name of exportedTypes(text)) places.set(name, [...(places.get(name) ?? []), file]);
  }
  return [...places]
    .filter(([, { length }]) => length > 1)
    .map(([name, where]) => `the type ${name} is exported by ${where.join(' and ')}`);
}

/** Declared and exported at once, or by a list. A type that is passed on from another file is still one type. */
function exportedTypes(text) {
  const declared = text.matchAll(/^export (?:declare )?(?:abstract |const )?(?:interface|type|class|enum) (\w+)\b/gm);
  const listed = [...text.matchAll(/^export (type )?\{([^}]*)\}(?! from)/gm)].flatMap(([, all, names]) =>
    names
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && (all !== undefined || name.startsWith('type ')))
      .map((name) => /(\w+)$/.exec(name)[1]),
  );
  return new Set([...[...declared].map(([, name]) => name), ...listed]);
}
