import { type LogRecord, logLevelName, logRecord } from '@kiln/contract/records';
import { logsKey } from './keys.js';
import { readRecord } from './read-record.js';
import type { Store } from './store.js';

/** About so many lines are kept per function, so long after its last one. */
const KEPT_LINES = 10_000;
const KEPT_S = 7 * 24 * 3600;
const MAX_MESSAGE = 8192;
const BATCH = 500;
/** One read looks at no more lines than this, however few of them match. */
const MAX_SCANNED = 20_000;
const LEVELS = logLevelName.options;

export interface LogQuery {
  /** Only lines stored from then on, ISO 8601. */
  since?: string;
  requestId?: string;
  /** This level or above. */
  level?: LogRecord['level'];
  /** Only lines behind this place, as an earlier read gave it. */
  after?: string;
  limit: number;
}

export interface LogPage {
  records: LogRecord[];
  /** Place of the last line looked at; give it back as `after`. Undefined when there was none. */
  last: string | undefined;
  /** False when the end was reached. */
  more: boolean;
}

type Entry = [id: string, fields: string[]];

/** The last lines that each function wrote. */
export class LogStore {
  constructor(private readonly store: Store) {}

  async append(records: readonly LogRecord[]): Promise<void> {
    if (records.length === 0) return;
    await this.store.pipeline((pipeline) => {
      for (const record of records) {
        const kept = record.message.length > MAX_MESSAGE ? { ...record, message: `${record.message.slice(0, MAX_MESSAGE)}…` } : record;
        pipeline.xadd(logsKey(record.function), 'MAXLEN', '~', KEPT_LINES, '*', 'r', JSON.stringify(kept));
      }
      for (const key of new Set(records.map((record) => logsKey(record.function)))) pipeline.expire(key, KEPT_S);
    });
  }

  /** Lines in the order in which they were stored; to follow, read again behind `last`. */
  async read(name: string, query: LogQuery): Promise<LogPage> {
    const key = logsKey(name);
    const records: LogRecord[] = [];
    let last = query.after;
    for (let scanned = 0; scanned < MAX_SCANNED; scanned += BATCH) {
      const from = last === undefined ? startOf(query.since) : `(${last}`;
      const entries = (await this.store.run((redis) => redis.xrange(key, from, '+', 'COUNT', BATCH))) as Entry[];
      for (const [id, fields] of entries) {
        last = id;
        const record = readRecord(this.store, logRecord, fields[1], `${key} ${id}`);
        if (record !== undefined && matches(record, query)) records.push(record);
        if (records.length >= query.limit) return { records, last, more: true };
      }
      if (entries.length < BATCH) return { records, last, more: false };
    }
    return { records, last, more: true };
  }
}

function startOf(since: string | undefined): string {
  return since === undefined ? '-' : `${Math.max(0, Date.parse(since))}-0`;
}

function matches(record: LogRecord, { requestId, level }: LogQuery): boolean {
  if (requestId !== undefined && record.requestId !== requestId) return false;
  return level === undefined || LEVELS.indexOf(record.level) >= LEVELS.indexOf(level);
}
