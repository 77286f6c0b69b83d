import { REQUEST_ID_PATTERN } from '@kiln/contract/names';
import { type LogRecord, logLevelName } from '@kiln/contract/records/records';

export type ReadLine = Pick<LogRecord, 'level' | 'message'> & { requestId?: string };

/** The longest piece of a JSON string that means nothing without its end: an escape of a character. */
const LONGEST_ESCAPE = 6;

/**
 * A runner's line for a `console` call: `{"kiln":1,"level":…,"requestId":…,"message":…}`. Of one that was cut, level, request and the
 * beginning of the message stand before the cut. Anything else: undefined.
 */
export function readRunnerLine(line: string, cut = false): ReadLine | undefined {
  if (!line.startsWith('{"kiln":1,')) return undefined;
  const parsed = cut ? parseCut(line) : parse(line);
  if (parsed === undefined) return undefined;
  const { level, requestId, message } = parsed;
  const known = logLevelName.safeParse(level);
  if (!known.success || typeof message !== 'string') return undefined;
  const id = typeof requestId === 'string' && REQUEST_ID_PATTERN.test(requestId) ? requestId : undefined;
  return { level: known.data, message, requestId: id };
}

interface Parsed {
  level?: unknown;
  requestId?: unknown;
  message?: unknown;
}

function parse(line: string): Parsed | undefined {
  try {
    return JSON.parse(line);
  } catch {
    // A function may print what looks like it; then it is a line like any other.
    return undefined;
  }
}

/** Closes the string and the object that the cut left open, without a half escape before it. */
function parseCut(line: string): Parsed | undefined {
  for (let left = line.length; left > line.length - LONGEST_ESCAPE; left--) {
    const parsed = parse(`${line.slice(0, left)}"}`);
    if (parsed !== undefined) return parsed;
  }
  return undefined;
}
