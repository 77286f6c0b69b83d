import type { SourceFolder } from '../source/source-folder.js';
import { traitsOf } from './entry-text.js';
import { PACKAGE_JSON } from './manifest.js';
import { TYPESCRIPT } from './typescript.js';

const PAGE = 'index.html';
const SCRIPT_SOURCE = /<script\b[^>]{0,1000}?\bsrc\s{0,20}=\s{0,20}["']?(?:\.?\/)?([^"'\s>?#]{1,200})/gi;

/** Whether a browser runs the module, and nobody else: the folder is a site, and the module no function. */
export async function isPageScript(folder: SourceFolder, module: string): Promise<boolean> {
  if (!folder.has(PAGE) || folder.has(PACKAGE_JSON) || TYPESCRIPT.test(module)) return false;
  const { exports, listens, needsNode } = traitsOf(await folder.readStart(module));
  if (exports) return false;
  // What the page itself loads may have a function called `serve`, or import a package by name.
  return (!listens && !needsNode) || scriptsOf(await folder.readStart(PAGE)).has(module);
}

function scriptsOf(html: string): Set<string | undefined> {
  return new Set([...html.matchAll(SCRIPT_SOURCE)].map(([, source]) => source));
}
