import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findEntry } from './entry.js';
import { chooseExport, type FunctionExport, functionExports } from './exports.js';
import { SITE_LIST } from './site-list.js';

/** The user's module gives nothing to serve; its own errors while loading pass through as they are. */
export class LoadError extends Error {}

/**
 * Runs the module that `entry` means.
 * @throws LoadError where there is no module or no function in it, and whatever the module throws.
 */
export async function loadExports(entry: string): Promise<FunctionExport[]> {
  const { found, lookedFor } = findEntry(entry);
  if (found === undefined) throw new LoadError(`no module in ${entry}; looked for ${lookedFor.join(', ')}`);
  // Loaded by those alone that have a site to serve: every other start is the faster for it.
  if (basename(found) === SITE_LIST) return [(await import('./serve-site.js')).siteExport(found)];
  // A stack then names the lines that somebody wrote. It has to be said before the module is loaded.
  if (existsSync(`${found}.map`)) process.setSourceMapsEnabled(true);
  const exports = functionExports((await import(pathToFileURL(found).href)) as object);
  if (exports.length > 0) return exports;
  throw new LoadError(`${found} exports no function; export (req, res) => … or { func: (req, res) => …, config }`);
}

/** @throws LoadError naming the exports where none of them is meant. */
export function requireExport(
  exports: readonly FunctionExport[],
  handler: string | undefined,
  functionName: string | undefined,
): FunctionExport {
  const chosen = chooseExport(exports, { handler, functionName });
  if (chosen !== undefined) return chosen;
  const names = exports.map(({ name }) => name).join(', ');
  throw new LoadError(
    handler === undefined
      ? `several exports (${names}): set "handler" to one of them`
      : `no function "${handler}" is exported; there are: ${names}`,
  );
}
