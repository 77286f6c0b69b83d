import { KILN_PREFIX } from '@kiln/contract/wire/headers';
import { hasPrefix, isHopByHop } from './headers.js';

/** Who reads one of these behind the body may treat the message otherwise than who read it without (RFC 9110 section 6.5.1). */
const NEVER_BEHIND_A_BODY: ReadonlySet<string> = new Set(
  `accept-ranges age allow alt-svc authorization cache-control clear-site-data content-disposition content-encoding content-length
  content-location content-range content-security-policy content-type cookie date expect expires host last-modified location
  max-forwards pragma range retry-after service-worker-allowed set-cookie strict-transport-security vary warning www-authenticate`.split(
    /\s+/,
  ),
);
/** Kiln's own or one connection's, or for the answer itself: an early hint is acted on before that is there. */
const NEVER_IN_A_HINT: ReadonlySet<string> = new Set(['content-length', 'set-cookie']);

/** The trailer fields that may travel, as pairs. */
export function trailerPairs(trailers: readonly string[]): [string, string][] {
  return pairs(trailers, NEVER_BEHIND_A_BODY);
}

/** The fields of a 103 that may travel, as a flat list. */
export function hintHeaders(headers: readonly string[]): string[] {
  return pairs(headers, NEVER_IN_A_HINT).flat();
}

function pairs(fields: readonly string[], refused: ReadonlySet<string>): [string, string][] {
  const kept: [string, string][] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (isHopByHop(name) || hasPrefix(name, KILN_PREFIX) || hasPrefix(name, 'access-control-')) continue;
    if (!refused.has(name.toLowerCase())) kept.push([name, fields[i + 1]!]);
  }
  return kept;
}
