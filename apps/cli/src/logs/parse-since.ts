import { UsageFailure } from '../failure.js';
import { parseDuration } from '../output/units.js';

/** A date, or a date and time. Without a zone it is local time, as in ISO 8601. */
const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;
const FORMS = 'write it as 30s, 10m, 2h, 1d, or 2030-01-31T12:00:00Z';

/** The time that `10m` or an ISO time means. @throws UsageFailure for anything else; a bare number would be ambiguous */
export function parseSince(text: string, now = Date.now()): Date {
  const ago = parseDuration(text);
  if (ago !== undefined) return new Date(now - ago);
  const time = ISO.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw new UsageFailure(`--since ${text} is neither a duration nor a time`, FORMS);
  if (time > now) throw new UsageFailure(`--since ${text} is in the future`, FORMS);
  return new Date(time);
}
