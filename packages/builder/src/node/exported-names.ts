/** The exports of an ES module, read from its text. */
export interface ExportedNames {
  /** Exports that are certainly functions, in the order of the text. */
  functions: readonly string[];
  hasDefault: boolean;
  /** Whether an export may have this name. */
  mayHave(name: string): boolean;
}

const MAX_CHARS = 256 * 1024;
const EXPORT = /^[ \t]*export[ \t]/m;
/** Code whose exports the text does not show, or another kind of module. */
const UNSURE = /^[ \t]*export[ \t]*\*|\bmodule\.exports\b|\bexports\b|\.\.\.|\[[^\]\n]{0,200}\][ \t]*:/m;
const DEFAULT = /\bexport[ \t]+default\b|\bas[ \t]+default\b/;
const FUNCTION = /^[ \t]*export[ \t]+(?:async[ \t]+)?function[ \t]*(?:\*[ \t]*)?([\w$]+)/gm;
const ARROW = /^[ \t]*export[ \t]+const[ \t]+([\w$]+)[ \t]*=[ \t]*(?:async[ \t]*)?(?:\(|function\b|[\w$]+[ \t]*=>)/gm;
/** A definition: an object whose first key is its function. */
const DEFINITION = /^[ \t]*export[ \t]+const[ \t]+([\w$]+)[ \t]*=[ \t]*\{\s{0,200}(?:func|definition)\b/gm;

/** @returns undefined where the text does not show all exports */
export function exportedNames(source: string): ExportedNames | undefined {
  if (source.length > MAX_CHARS || !EXPORT.test(source) || UNSURE.test(source)) return undefined;
  const functions = [FUNCTION, ARROW, DEFINITION].flatMap((form) => [...source.matchAll(form)].map(({ 1: name = '' }) => name));
  const words = new Set(source.match(/[\w$-]+/g));
  return { functions, hasDefault: DEFAULT.test(source), mayHave: (name) => words.has(name) };
}
