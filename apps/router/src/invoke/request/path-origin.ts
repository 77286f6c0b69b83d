/**
 * Under `/fn/<name>/` all functions share one web origin. What a function's answer may say about itself must not reach the others:
 * its cookies are kept below its own prefix, and fields that speak for the whole origin are dropped.
 * A page's scripts still share the origin; only a host of its own separates them (SECURITY.md).
 */

/** How the caller addressed the function. */
export interface PathForm {
  /** As `/fn/hello` or `/fn/hello@2`. */
  readonly prefix: string;
  /** Whether a slash followed it. */
  readonly hasSlash: boolean;
}

/** Browsers pass over an attribute that is longer, and take the default path. */
const MAX_ATTRIBUTE_CHARS = 1024;

/**
 * The header lines of an answer by path, kept to the function's own prefix.
 * @param lines name, value, name, value …; changed in place where nothing must be dropped
 */
export function keepToPrefix(lines: string[], form: PathForm): string[] {
  let kept = lines;
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i]!;
    if (kept !== lines) kept.push(name, lines[i + 1]!);
    if (!mayConcern(name)) continue;
    const lower = name.toLowerCase();
    if (lower === 'set-cookie') kept[kept === lines ? i + 1 : kept.length - 1] = cookieBelow(lines[i + 1]!, form);
    else if (OF_THE_ORIGIN.has(lower)) {
      if (kept === lines) kept = lines.slice(0, i);
      else kept.length -= 2;
    }
  }
  return kept;
}

/** Fields by which one answer sets something for every path of its origin, in browsers that know them. */
const OF_THE_ORIGIN: ReadonlySet<string> = new Set([
  'accept-ch',
  'alt-svc',
  'clear-site-data',
  'critical-ch',
  'expect-ct',
  'nel',
  'origin-agent-cluster',
  'public-key-pins',
  'public-key-pins-report-only',
  'report-to',
  'service-worker-allowed',
  'set-cookie2',
  'set-login',
  'strict-transport-security',
  'use-as-dictionary',
]);
const LENGTHS: ReadonlySet<number> = new Set([...OF_THE_ORIGIN, 'set-cookie'].map(({ length }) => length));

/** Cheap, for the many lines that are none of these. */
function mayConcern({ length }: string): boolean {
  return LENGTHS.has(length);
}

/**
 * A `Set-Cookie` value for the prefix and what lies below it, without a `Domain`. RFC 6265 section 5.2: the last `Path` counts, and one
 * that starts with no slash means the default path, the folder of the page, which lies below the prefix unless no slash follows that.
 */
export function cookieBelow(cookie: string, { prefix, hasSlash }: PathForm): string {
  const parts = cookie.split(';');
  const kept = [parts[0]!];
  let path: string | undefined;
  for (let i = 1; i < parts.length; i++) {
    const part = parts[i]!;
    const equals = part.indexOf('=');
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    if (name === 'path') path = equals < 0 ? '' : part.slice(equals + 1).trim();
    else if (name !== 'domain') kept.push(part);
  }
  if (path?.startsWith('/')) {
    const below = path === prefix || path.startsWith(`${prefix}/`) ? path : prefix + path;
    kept.push(` Path=${below.length > MAX_ATTRIBUTE_CHARS ? `${prefix}/` : below}`);
  } else if (!hasSlash) kept.push(` Path=${prefix}/`);
  return kept.join(';');
}
