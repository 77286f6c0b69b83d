import { FUNCTION_NAME_PATTERN, suggestName } from '@kiln/contract/names';
import { UsageFailure } from './failure.js';

/** @throws UsageFailure for anything but a function's name, so that no other text gets into a path */
export function requireFunctionName(name: string): string {
  if (FUNCTION_NAME_PATTERN.test(name)) return name;
  const form = 'it has 1 to 63 characters of a-z, 0-9 and -, starts with a letter and does not end with -';
  const fix = `did you mean "${suggestName(name)}"? list the functions: kiln ls`;
  throw new UsageFailure(`"${name}" can't be a function's name: ${form}`, fix);
}

export interface FunctionReference {
  name: string;
  version: number | undefined;
}

/** The number in `3` or `v3`; undefined for anything else. */
export function parseVersion(text: string): number | undefined {
  return /^v?[1-9]\d{0,8}$/.test(text) ? Number(text.replace('v', '')) : undefined;
}

/** `hello`, or `hello@3` for one version. */
export function parseReference(text: string): FunctionReference {
  const [name = '', version, ...rest] = text.split('@');
  if (rest.length > 0 || (version !== undefined && !/^[1-9]\d{0,8}$/.test(version)))
    throw new UsageFailure(`"${text}" does not name a version`, `write it as ${name}@2; list the versions: kiln versions ${name}`);
  return { name: requireFunctionName(name), version: version === undefined ? undefined : Number(version) };
}
