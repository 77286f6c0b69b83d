import { UsageFailure } from '../failure.js';
import { parseDuration } from '../output/units.js';

/** A day, or a time of it; without a zone it is this machine's, as ISO 8601 has it. */
const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;
const FORMS = 'write it as 30s, 10m, 2h, 1d, or 2030-01-31T12:00:00Z';

/** When `10m` or an ISO time is. @throws UsageFailure for all else: a bare number could be anything */
export function parseSince(text: string, now = Date.now()): Date {
  const ago = parseDuration(text);
  if (ago !== undefined) return new Date(now - ago);
  const time = ISO.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw new UsageFailure(`--since ${text} is neither a duration nor a time`, FORMS);
  if (time > now) throw new UsageFailure(`--since ${text} is yet to come`, FORMS);
  return new Date(time);
}
