import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '@kiln/contract/errors';
import type { LogRecord } from '@kiln/contract/records/records';
import type { LogQuery, LogStore } from '@kiln/state/logs/log-store';
import { ifThere } from '@kiln/state/store/store';

const PAGE = 500;
const POLL_MS = 300;
const MAX_FOLLOWERS = 200;

let followers = 0;

export interface LogRequest extends Omit<LogQuery, 'after' | 'limit'> {
  follow: boolean;
}

/** A function's stored lines and, with `follow`, the new ones as they come, until the signal says that nobody reads on. */
export async function* logLines(
  logs: LogStore,
  name: string,
  { follow, ...query }: LogRequest,
  signal: AbortSignal,
): AsyncGenerator<LogRecord> {
  const first = await logs.read(name, { ...query, limit: PAGE });
  yield* first.records;
  let last = first.last;
  for (let page = first; page.more; ) {
    page = await logs.read(name, { ...query, after: last, limit: PAGE });
    last = page.last;
    yield* page.records;
  }
  if (!follow) return;
  if (followers >= MAX_FOLLOWERS) throw new KilnError('unavailable', `${MAX_FOLLOWERS} readers follow logs on this router already`);
  followers += 1;
  try {
    while (!signal.aborted) {
      // Who follows waits for the store to come back.
      const page = await ifThere(logs.read(name, { ...query, after: last, limit: PAGE }));
      last = page?.last ?? last;
      if (page !== undefined) yield* page.records;
      if (!page?.more) await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    followers -= 1;
  }
}
