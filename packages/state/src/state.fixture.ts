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
