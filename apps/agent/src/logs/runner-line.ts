import { REQUEST_ID_PATTERN } from '@kiln/contract/names';
import { type LogRecord, logLevelName } from '@kiln/contract/records';

export type ReadLine = Pick<LogRecord, 'level' | 'message'> & { requestId?: string };

/** A line that the runner wrote for a `console` call: `{"kiln":1,"level":…,"requestId":…,"message":…}`. Anything else: undefined. */
export function readRunnerLine(line: string): ReadLine | undefined {
  if (!line.startsWith('{"kiln":1,')) return undefined;
  let parsed: { level?: unknown; requestId?: unknown; message?: unknown };
  try {
    parsed = JSON.parse(line);
  } catch {
    // A function may print what looks like it; then it is a line like any other.
    return undefined;
  }
  const { level, requestId, message } = parsed;
  const known = logLevelName.safeParse(level);
  if (!known.success || typeof message !== 'string') return undefined;
  const id = typeof requestId === 'string' && REQUEST_ID_PATTERN.test(requestId) ? requestId : undefined;
  return { level: known.data, message, ...(id !== undefined && { requestId: id }) };
}
