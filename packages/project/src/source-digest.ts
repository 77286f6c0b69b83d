import { createHash } from 'node:crypto';
import type { BuildArgs } from '@kiln/contract/api/build-args';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';

/** Raised when equal folders would give another image or configuration. */
const DIGEST_VERSION = 1;
const KILN_JSON = 'kiln.json';

export interface DigestedFile {
  path: string;
  executable: boolean;
  /** Names its content. */
  hash: string;
}

/**
 * Names what a deployment depends on, as far as this side knows it: each file's path, mode and content, and the function's own
 * part of `kiln.json`, the build arguments, and which secrets the build is given. Not that file itself: what it says of other functions changes nothing here, nor does its layout.
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

/** The order in which keys were written means nothing. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
