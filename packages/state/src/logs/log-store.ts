import { type LogRecord, logLevelName, logRecord } from '@kiln/contract/records/records';
import { LOG_SIZES, LOG_TIMES, LOG_TOTAL, LOGS_PREFIX, logsKey } from '../store/keys.js';
import { readRecord } from '../store/read-record.js';
import type { Store } from '../store/store.js';
import { APPEND_LOG } from './log-scripts.js';

/** About so many lines are kept per function, so long after its last one. */
const KEPT_LINES = 10_000;
const KEPT_S = 7 * 24 * 3600;
const MAX_MESSAGE = 8192;
/** Characters that are added in one step. */
const STEP_CHARS = 256 * 1024;
/** Bytes of all logs; of a store that has a limit itself, at most that share. One function has at most so much of it. */
const ALL_BYTES = 64 * 1024 * 1024;
const SHARE_OF_STORE = 1 / 4;
const SHARE_OF_FUNCTION = 1 / 8;
/** The limit of the store may be changed while it runs. */
const LIMIT_KNOWN_MS = 30_000;
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
  private limit = { at: Number.NEGATIVE_INFINITY, bytes: 0 };

  constructor(private readonly store: Store) {}

  /** Adds lines. A refused part is lost and reported, as no line may be added twice. @throws KilnError `unavailable` if none was added */
  async append(records: readonly LogRecord[]): Promise<void> {
    if (records.length === 0) return;
    const all = await this.bytes();
    const limits = [Math.floor(all * SHARE_OF_FUNCTION), all, KEPT_LINES, KEPT_S];
    const steps = stepsOf(records);
    const done = await Promise.allSettled(
      steps.map(({ name, lines }) => {
        const keys = [logsKey(name), LOG_SIZES, LOG_TOTAL, LOG_TIMES];
        return this.store.run((redis) => redis.eval(APPEND_LOG, keys.length, ...keys, name, LOGS_PREFIX, ...limits, ...lines));
      }),
    );
    const failed = done.filter((each) => each.status === 'rejected');
    if (failed.length === 0) return;
    if (failed.length === done.length) throw failed[0]?.reason;
    this.store.report(new Error(`a part of ${records.length} log lines was not stored`, { cause: failed[0]?.reason }));
  }

  /** What all logs may have together. */
  private async bytes(): Promise<number> {
    const now = performance.now();
    if (now - this.limit.at > LIMIT_KNOWN_MS) {
      const memory = await this.store.run((redis) => redis.info('memory'));
      const most = Number(/^maxmemory:(\d+)/m.exec(memory)?.[1] ?? 0);
      this.limit = { at: now, bytes: most === 0 ? ALL_BYTES : Math.min(ALL_BYTES, Math.floor(most * SHARE_OF_STORE)) };
    }
    return this.limit.bytes;
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

/** By function, in order, no more at once than one step may take. */
function stepsOf(records: readonly LogRecord[]): { name: string; lines: string[] }[] {
  const steps: { name: string; lines: string[]; chars: number }[] = [];
  const open = new Map<string, (typeof steps)[number]>();
  for (const record of records) {
    const line = JSON.stringify(cut(record));
    let step = open.get(record.function);
    if (step === undefined || step.chars + line.length > STEP_CHARS) {
      step = { name: record.function, lines: [], chars: 0 };
      steps.push(step);
      open.set(record.function, step);
    }
    step.lines.push(line);
    step.chars += line.length;
  }
  return steps;
}

function cut(record: LogRecord): LogRecord {
  return record.message.length > MAX_MESSAGE
    ? { ...record, message: `${record.message.slice(0, MAX_MESSAGE)}… (cut after ${MAX_MESSAGE} characters)` }
    : record;
}

function startOf(since: string | undefined): string {
  return since === undefined ? '-' : `${Math.max(0, Date.parse(since))}-0`;
}

function matches(record: LogRecord, { requestId, level }: LogQuery): boolean {
  if (requestId !== undefined && record.requestId !== requestId) return false;
  return level === undefined || LEVELS.indexOf(record.level) >= LEVELS.indexOf(level);
}
