import { createHash } from 'node:crypto';
import type { BuildArgs } from '@kiln/contract/api/build-args';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import type { PackedFile } from './pack.js';

/** Raise it when equal folders would now give another image or configuration. */
const DIGEST_VERSION = 1;
const KILN_JSON = 'kiln.json';

/** A file, with the hash of its content. */
export type DigestedFile = Pick<PackedFile, 'path' | 'executable'> & { hash: string };

/**
 * The digest of all that a deployment depends on, as far as this side knows. Of `kiln.json` only the function's own part counts:
 * neither the layout of the file nor its other functions change this one.
 */
export function sourceDigest(
  files: readonly DigestedFile[],
  config: FunctionConfigInput,
  buildArgs: BuildArgs = {},
  secretIds: readonly string[] = [],
): string {
  const digest = createHash('sha256');
  const args = Object.keys(buildArgs).length === 0 ? [] : [sorted(buildArgs)];
  const ids = secretIds.length === 0 ? [] : [{ secrets: secretIds.toSorted() }];
  digest.update(JSON.stringify([DIGEST_VERSION, sorted(config), ...args, ...ids]));
  for (const { path, executable, hash } of files) {
    if (path !== KILN_JSON) digest.update(JSON.stringify([path, executable, hash]));
  }
  return `sha256:${digest.digest('hex')}`;
}

/** Sorts the keys: their order has no meaning. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
