import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { entryNames } from '@kiln/contract/config/entry-names';

export interface EntrySearch {
  /** The module's file. */
  found: string | undefined;
  /** The candidates, in order, in words for a user. */
  lookedFor: string[];
}

/** The module of a path: the file itself, or in a folder `main` of its package.json, else the first usual name. */
export function findEntry(path: string): EntrySearch {
  const folder = resolve(path);
  const stats = statSync(folder, { throwIfNoEntry: false });
  if (!stats?.isDirectory()) return { found: stats?.isFile() ? folder : undefined, lookedFor: [path] };
  const main = mainOf(folder);
  const found = entryNames(main)
    .map((name) => join(folder, name))
    .find(isFile);
  const lookedFor = [main === undefined ? 'main in package.json' : `${main} (main in package.json)`, ...entryNames(undefined)];
  return { found, lookedFor };
}

function mainOf(folder: string): string | undefined {
  const file = join(folder, 'package.json');
  if (!isFile(file)) return undefined;
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const main = typeof content === 'object' && content !== null && 'main' in content ? content.main : undefined;
  return typeof main === 'string' && main !== '' ? main : undefined;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
