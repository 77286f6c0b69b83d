import { KilnError } from '@kiln/contract/errors';
import type { FunctionRecord } from '@kiln/contract/records/records';
import { type PointerParts, putTraffic } from './traffic.js';

/**
 * Back to the traffic before the last change, or all of it to one version. Builds nothing.
 * @throws KilnError `conflict` when there is nothing to go back to
 */
export async function rollback(parts: PointerParts, name: string, version?: number): Promise<FunctionRecord> {
  if (version !== undefined) return putTraffic(parts, name, [{ version, weight: 100 }]);
  const record = await parts.functions.get(name);
  if (record === undefined) throw new KilnError('function_not_found', `there is no function "${name}"`, { fix: 'kiln ls' });
  if (record.previousTraffic.length === 0) {
    throw new KilnError('conflict', `"${name}" has had no other traffic to go back to`, { fix: `kiln inspect ${name}` });
  }
  return putTraffic(parts, name, record.previousTraffic, { expectedRevision: record.revision });
}
