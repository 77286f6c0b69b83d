/** Decides, and is on neither way. */
const PURE_BESIDES = ['apps/cli/src/invoke/address.ts'];
/** Of Node, and without any effect. */
const HARMLESS = new Set(['util', 'node:util', 'path', 'node:path']);
/** What acts, or depends on more than arguments, without an import. */
const ACTS = /\b(?:Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|fetch\(|console\.|process\.)/;
const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm;

/** One line for each circle: from the first of its places in the alphabet back to it. */
export function circles(imports) {
  return [...imports.keys()].flatMap((start) => {
    const way = wayBack(start, imports);
    return way !== undefined && start === [...way].sort()[0] ? [[...way, start].join(' -> ')] : [];
  });
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

/** Files that a page or their own comments call pure: neither they nor what they import may act, be of Node or of a library. */
export function impureFiles({ files, modules, pages }) {
  const rows = [...pages.values()].flatMap((text) => text.split('\n')).filter((row) => row.includes('(pure)'));
  if (rows.length === 0) return ['no page calls a file pure: the checker is blind'];
  const byPages = rows.flatMap((row) => /`([\w./-]+\.ts)`/.exec(row)?.[1] ?? []);
  const byThemselves = [...files].filter(([file, text]) => !/\.(test|fixture)\.ts$/.test(file) && callsItselfPure(text));
  const bySource = new Map(modules.map((module) => [module.source, module]));
  return [...new Set([...byPages, ...byThemselves.map(([file]) => file), ...PURE_BESIDES])].flatMap((file) => {
    const acting = whatActs(file, { bySource, files, seen: new Set() });
    return acting === undefined ? [] : [`${file} is called pure, and ${acting}`];
  });
}

function callsItselfPure(text) {
  return (text.match(COMMENT) ?? []).some((comment) => /\bpure\b/i.test(comment));
}

function whatActs(source, tree) {
  tree.seen.add(source);
  const module = tree.bySource.get(source);
  if (module === undefined) return `${source} is not there`;
  const acts = ACTS.exec((tree.files.get(source) ?? '').replaceAll(COMMENT, ''))?.[0];
  if (acts !== undefined) return `${source} uses ${acts}`;
  for (const { resolved, coreModule, dependencyTypes } of module.dependencies) {
    if (dependencyTypes.includes('type-only') || /^packages\/contract\//.test(resolved)) continue;
    if (coreModule && HARMLESS.has(resolved)) continue;
    if (coreModule || resolved.includes('node_modules')) return `${source} imports ${resolved}`;
    const acting = tree.seen.has(resolved) ? undefined : whatActs(resolved, tree);
    if (acting !== undefined) return acting;
  }
  return undefined;
}
