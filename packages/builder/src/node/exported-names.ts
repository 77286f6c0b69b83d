/** What the text of an ES module surely exports; nothing is said of a text that may export more than it shows. */
export interface ExportedNames {
  /** Surely functions, in the order of the text. */
  functions: readonly string[];
  hasDefault: boolean;
  /** Whether some export may have this name. */
  mayHave(name: string): boolean;
}

const MAX_CHARS = 256 * 1024;
const EXPORT = /^[ \t]*export[ \t]/m;
/** What gives names that do not stand in the text, or another kind of module. */
const UNSURE = /^[ \t]*export[ \t]*\*|\bmodule\.exports\b|\bexports\b|\.\.\.|\[[^\]\n]{0,200}\][ \t]*:/m;
const DEFAULT = /\bexport[ \t]+default\b|\bas[ \t]+default\b/;
const FUNCTION = /^[ \t]*export[ \t]+(?:async[ \t]+)?function[ \t]*(?:\*[ \t]*)?([\w$]+)/gm;
const ARROW = /^[ \t]*export[ \t]+const[ \t]+([\w$]+)[ \t]*=[ \t]*(?:async[ \t]*)?(?:\(|function\b|[\w$]+[ \t]*=>)/gm;
/** A definition: an object whose first key is its function. */
const DEFINITION = /^[ \t]*export[ \t]+const[ \t]+([\w$]+)[ \t]*=[ \t]*\{\s{0,200}(?:func|definition)\b/gm;

/** @returns undefined where the text does not tell all of its exports */
export function exportedNames(source: string): ExportedNames | undefined {
  if (source.length > MAX_CHARS || !EXPORT.test(source) || UNSURE.test(source)) return undefined;
  const functions = [FUNCTION, ARROW, DEFINITION].flatMap((form) => [...source.matchAll(form)].map(({ 1: name = '' }) => name));
  const words = new Set(source.match(/[\w$-]+/g));
  return { functions, hasDefault: DEFAULT.test(source), mayHave: (name) => words.has(name) };
}
