import type { VersionRecord } from '@kiln/contract/records/records';
import { table } from '../output/table.js';

/** A version's variables with their values, and its secrets by name. */
export function variablesTable({ version, config: { env, secrets }, secretRevisions = {} }: VersionRecord, columns?: number): string {
  const variables = Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1));
  const named = secrets.toSorted().map((name) => [name, `(secret, revision ${secretRevisions[name] ?? '?'})`] as const);
  return table([`variable of v${version}`, 'value'], [...variables, ...named], columns);
}
