import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord, VersionRecord } from '@kiln/contract/records/records';
import { valueField } from '../store/keys.js';

/** What the scripts answer for a version whose secrets are not all there. */
export const GONE = -1;

/** The values of secrets that versions were made with, as fields of the store. */
export function secretFields(versions: readonly Pick<VersionRecord, 'secretRevisions'>[]): string[] {
  const all = versions.flatMap(({ secretRevisions = {} }) => Object.entries(secretRevisions));
  return [...new Set(all.map(([name, revision]) => valueField({ name, revision })))];
}

export function secretGone(name: string): KilnError {
  return new KilnError('conflict', `a secret that this version of "${name}" was made with was removed or changed since`, {
    fix: `deploy "${name}" again: a new version takes the secrets as they are now`,
  });
}

/** @throws KilnError `conflict` where the function has changed since it was read */
export function requireRevision({ name, revision }: FunctionRecord, expected: number | undefined): void {
  if (expected === undefined || expected === revision) return;
  throw new KilnError('conflict', `"${name}" is at revision ${revision}, not ${expected}`, { fix: 'read it again' });
}

export function functionNotFound(name: string): KilnError {
  return new KilnError('function_not_found', `there is no function "${name}"`, { fix: 'kiln ls' });
}

export function versionNotFound(name: string, version: number): KilnError {
  return new KilnError('version_not_found', `"${name}" has no version ${version}`, { fix: `kiln versions ${name}` });
}
