import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { packFiles } from './tar.js';

export interface FolderChanges {
  name?: string;
  config?: FunctionConfigInput;
  /** Files added, or put in place of the folder's own. */
  files?: Record<string, string>;
}

/** The folder as the control API takes it: a gzip tar; keys of its `kiln.json` may be changed on the way. */
export function folderTar(folder: string, changes: FolderChanges = {}): Readable {
  const contents = new Map<string, string | Buffer>(files(folder).map((file) => [relative(folder, file), readFileSync(file)]));
  for (const [name, content] of Object.entries(changes.files ?? {})) contents.set(name, content);
  if (changes.name !== undefined || changes.config !== undefined) {
    contents.set('kiln.json', changed(String(contents.get('kiln.json') ?? '{}'), changes));
  }
  return packFiles(contents).pipe(createGzip({ level: 1 }));
}

function changed(kilnJson: string, { name, config }: FolderChanges): string {
  return JSON.stringify({ ...(JSON.parse(kilnJson) as object), ...(name !== undefined && { name }), ...config });
}

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.split('/').includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
