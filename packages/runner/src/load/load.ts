import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chooseExport, type FunctionExport, functionExports } from '../handler/exports.js';
import { SITE_LIST } from '../site/site-list.js';
import { findEntry } from './entry.js';

/** The user's module gives nothing to serve. */
export class LoadError extends Error {}

/** The user's module does not load; the message is what its author needs to know. */
export class ModuleFailure extends Error {}

/** Node's own frames, of which an import has many, must not push out those of the module. */
const STACK_FRAMES = 60;

/**
 * Runs the module that `entry` means.
 * @throws LoadError where there is no module or no function in it, ModuleFailure where it throws or does not compile
 */
export async function loadExports(entry: string): Promise<FunctionExport[]> {
  const { found, lookedFor } = findEntry(entry);
  if (found === undefined) throw new LoadError(`no module in ${entry}; looked for ${lookedFor.join(', ')}`);
  // Loaded by those alone that have a site to serve: every other start is the faster for it.
  if (basename(found) === SITE_LIST) return [(await import('../site/serve-site.js')).siteExport(found)];
  // A stack then names the lines that somebody wrote. It has to be said before the module is loaded.
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
