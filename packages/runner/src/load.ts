import { pathToFileURL } from 'node:url';
import { findEntry } from './entry.js';
import { chooseExport, type FunctionExport, functionExports } from './exports.js';

/** The user's module gives nothing to serve; its own errors while loading pass through as they are. */
export class LoadError extends Error {}

/**
 * Runs the module that `entry` means.
 * @throws LoadError where there is no module or no function in it, and whatever the module throws.
 */
export async function loadExports(entry: string): Promise<FunctionExport[]> {
  const { found, lookedFor } = findEntry(entry);
  if (found === undefined) throw new LoadError(`no module in ${entry}; looked for ${lookedFor.join(', ')}`);
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
