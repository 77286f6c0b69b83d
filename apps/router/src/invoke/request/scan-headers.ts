import { REQUEST_ID_PATTERN } from '@kiln/contract/names';
import { KILN_PREFIX } from '@kiln/contract/wire/headers';
import { addConnectionNames, hasPrefix, is, isHopByHop, withoutNamed } from '@kiln/forward/headers/headers';

/** What one pass over a request's header lines yields. */
export class ScannedHeaders {
  /** What travels on as the client sent it: order, case and repeated lines kept. */
  kept: string[] = [];
  host: string | undefined;
  authorization: string | undefined;
  cookie: string | undefined;
  /** The caller's, where it is well formed. */
  requestId: string | undefined;
  /** Declared bytes of the body: 0 without one, undefined where it is chunked. */
  bodyLength: number | undefined = 0;
  /** From `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded`, never sent on as they are. */
  forwardedFor: string | undefined;
  forwardedProto: string | undefined;
  forwardedHost: string | undefined;
  forwarded: string | undefined;
}

const FORWARDED_PREFIX = 'x-forwarded-';

/**
 * Reads the header lines once. Dropped are: hop-by-hop headers and those that `Connection` names, everything of Kiln's own
 * (`x-kiln-*`, in any spelling), `Expect`, the request id, and what a client may only say when it is a trusted proxy.
 */
export function scanHeaders(raw: readonly string[], trusted: boolean): ScannedHeaders {
  const scanned = new ScannedHeaders();
  const { kept } = scanned;
  let named: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if ((name.charCodeAt(0) | 32) === 120 && takeExtension(scanned, name, value, trusted)) continue;
    if (isHopByHop(name)) {
      if (is(name, 'connection')) named = addConnectionNames(named, value);
      else if (is(name, 'transfer-encoding')) scanned.bodyLength = undefined;
    } else if (!takeKnown(scanned, name, value)) {
      kept.push(name, value);
    }
  }
  if (named !== undefined) scanned.kept = withoutNamed(kept, named);
  return scanned;
}

/** Notes what the router itself needs; true where the line does not travel on. */
function takeKnown(scanned: ScannedHeaders, name: string, value: string): boolean {
  switch (name.length) {
    case 4:
      if (is(name, 'host')) scanned.host = value;
      return false;
    case 6:
      if (is(name, 'cookie')) scanned.cookie = scanned.cookie === undefined ? value : `${scanned.cookie}; ${value}`;
      return is(name, 'expect');
    case 9:
      if (!is(name, 'forwarded')) return false;
      scanned.forwarded = joined(scanned.forwarded, value);
      return true;
    case 13:
      if (is(name, 'authorization')) scanned.authorization = value;
      return false;
    case 14:
      if (is(name, 'content-length')) scanned.bodyLength = Number(value);
      return false;
    default:
      return false;
  }
}

/** The same for names that start with `x`. */
function takeExtension(scanned: ScannedHeaders, name: string, value: string, trusted: boolean): boolean {
  if (is(name, 'x-request-id')) {
    if (scanned.requestId === undefined && REQUEST_ID_PATTERN.test(value)) scanned.requestId = value;
    return true;
  }
  if (hasPrefix(name, KILN_PREFIX)) return true;
  if (is(name, 'x-real-ip')) return !trusted;
  if (!hasPrefix(name, FORWARDED_PREFIX)) return false;
  switch (name.slice(FORWARDED_PREFIX.length).toLowerCase()) {
    case 'for':
      scanned.forwardedFor = joined(scanned.forwardedFor, value);
      return true;
    case 'proto':
      scanned.forwardedProto ??= first(value);
      return true;
    case 'host':
      scanned.forwardedHost ??= first(value);
      return true;
    case 'prefix':
      return true;
    default:
      return !trusted;
  }
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

/** Proxies one behind another make a list; its first element is what the caller itself used. */
function first(list: string): string {
  const end = list.indexOf(',');
  return (end === -1 ? list : list.slice(0, end)).trim();
}
