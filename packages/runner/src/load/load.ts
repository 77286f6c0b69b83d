import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chooseExport, type FunctionExport, functionExports } from '../handler/exports.js';
import { SITE_LIST } from '../site/site-list.js';
import { findEntry } from './entry.js';

/** The user's module exports nothing that can be served. */
export class LoadError extends Error {}

/** The user's module does not load; the message explains it to its author. */
export class ModuleFailure extends Error {}

/** Enough for the many frames of Node's own in an import, and for those of the module. */
const STACK_FRAMES = 60;

/** @throws LoadError where there is no module or no function in it, ModuleFailure where it throws or does not compile */
export async function loadExports(entry: string): Promise<FunctionExport[]> {
  const { found, lookedFor } = findEntry(entry);
  if (found === undefined) throw new LoadError(`no module in ${entry}; looked for ${lookedFor.join(', ')}`);
  // Imported only for a site, so that every other start is faster.
  if (basename(found) === SITE_LIST) return [(await import('../site/serve-site.js')).siteExport(found)];
  // Before the import, so that stacks show lines of the user's sources.
  if (existsSync(`${found}.map`)) process.setSourceMapsEnabled(true);
  const exports = functionExports(await importModule(found));
  if (exports.length > 0) return exports;
  throw new LoadError(`${found} exports no function; export (req, res) => … or { func: (req, res) => …, config }`);
}

async function importModule(file: string): Promise<object> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = STACK_FRAMES;
  try {
    return (await import(pathToFileURL(file).href)) as object;
  } catch (error) {
    const { explainLoadFailure } = await import('./load-failure.js');
    throw new ModuleFailure(explainLoadFailure(error, file), { cause: error });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** @throws LoadError naming the exports where none of them is meant. */
export function requireExport(exports: readonly FunctionExport[], handler?: string, functionName?: string): FunctionExport {
  const chosen = chooseExport(exports, { handler, functionName });
  if (chosen !== undefined) return chosen;
  const names = exports.map(({ name }) => name).join(', ');
  throw new LoadError(
    handler === undefined
      ? `several exports (${names}): set "handler" to one of them`
      : `no function "${handler}" is exported; there are: ${names}`,
  );
}
