const NAMES = ['index.js', 'index.mjs', 'index.cjs', 'function.js', 'function.mjs', 'function.cjs'];

/** Where in a folder the module of a runner function may be, the first that is there. @param main as its package.json says */
export function entryNames(main: string | undefined): string[] {
  return main === undefined ? NAMES : [main, `${main}.js`, `${main}/index.js`, ...NAMES];
}
