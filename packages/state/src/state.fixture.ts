import { resolveConfig } from '@kiln/contract/config/function-config';
import type { LogRecord, NodeRecord } from '@kiln/contract/records/records';
import type { Redis } from 'ioredis';
import type { VersionDraft } from './functions/function-store.js';
import { CHANGES, MARK } from './store/keys.js';

export const draft: VersionDraft = {
  image: 'sha256:abc',
  digest: 'sha256:abc',
  kind: 'runner',
  config: resolveConfig({ cpu: 0.1, env: {}, secrets: [] }, 'runner'),
  provingNode: 'node-1',
};

export function nodeOf(id: string, changes: Partial<NodeRecord> = {}): NodeRecord {
  return {
    id,
    dataUrl: 'http://127.0.0.1:9200',
    controlUrl: 'http://127.0.0.1:9201',
    weight: 1,
    cores: 2,
    memory: 1024,
    memoryPromised: 0,
    load: 0,
    instances: 0,
    draining: false,
    epoch: 'e',
    beat: 1,
    startedAt: new Date().toISOString(),
    warnings: [],
    ...changes,
  };
}

export function logOf(message: string, changes: Partial<LogRecord> = {}): LogRecord {
  const time = new Date().toISOString();
  return { time, function: 'hello', version: 1, node: 'node-1', instance: 'i1', level: 'info', message, ...changes };
}

/** Takes everything away by order: mark and counter say that it was no loss. */
export async function removeAll(raw: Redis): Promise<void> {
  const [mark, changes] = await raw.mget(MARK, CHANGES);
  await raw.flushall();
  if (mark) await raw.mset(MARK, mark, CHANGES, Number(changes) + 1);
}

/** Objects whose keys are names that users chose. */
const OPEN = new Set(['env', 'secretRevisions']);

/** As a later version of Kiln stores it: a key that is not known here in the record and in every object in it. */
export function fromTheFuture(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromTheFuture);
  if (typeof value !== 'object' || value === null) return value;
  const known = Object.entries(value).map(([name, entry]) => [name, OPEN.has(name) ? entry : fromTheFuture(entry)]);
  return { ...Object.fromEntries(known), future: { of: 'kiln' } };
}

/** Rewrites a record as another version of Kiln would. */
export async function rewriteRecord(
  raw: Redis,
  key: string,
  field: string,
  change: (record: object) => unknown = fromTheFuture,
): Promise<object> {
  const after = change(await storedRecord(raw, key, field));
  await raw.hset(key, field, JSON.stringify(after));
  await raw.incr(CHANGES);
  return after as object;
}

export async function storedRecord(raw: Redis, key: string, field: string): Promise<Record<string, unknown>> {
  return JSON.parse((await raw.hget(key, field)) as string) as Record<string, unknown>;
}
