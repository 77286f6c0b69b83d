/**
 * Header lists are flat, `[name, value, name, value, …]`, as Node's `rawHeaders`: order, case and repeated lines survive,
 * and no request pays for an object it does not need.
 */

/** True for the names that belong to one connection and never travel further (RFC 9110 section 7.6.1). */
export function isHopByHop(name: string): boolean {
  switch (name.length) {
    case 2:
      return is(name, 'te');
    case 7:
      return is(name, 'upgrade') || is(name, 'trailer');
    case 10:
      return is(name, 'connection') || is(name, 'keep-alive');
    case 16:
      return is(name, 'proxy-connection');
    case 17:
      return is(name, 'transfer-encoding');
    case 18:
      return is(name, 'proxy-authenticate');
    case 19:
      return is(name, 'proxy-authorization');
    default:
      return false;
  }
}

/** Compares a header name with a lower-case one. */
export function is(name: string, lower: string): boolean {
  return name === lower || (name.length === lower.length && name.toLowerCase() === lower);
}

/** The first value of a header. */
export function get(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if (is(raw[i]!, name)) return raw[i + 1];
  return undefined;
}

/** True where a name starts with `prefix` in any case; `_` counts as `-`, because many servers treat them alike. */
export function hasPrefix(name: string, prefix: string): boolean {
  if (name.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) {
    let code = name.charCodeAt(i);
    if (code >= 65 && code <= 90) code += 32;
    else if (code === 95) code = 45;
    if (code !== prefix.charCodeAt(i)) return false;
  }
  return true;
}

/** Adds the header names that a `Connection` value lists; undefined as long as there are none worth a second look. */
export function addConnectionNames(before: string[] | undefined, value: string): string[] | undefined {
  let named = before;
  if (value === 'keep-alive' || value === 'close') return named;
  for (const token of value.split(',')) {
    const name = token.trim().toLowerCase();
    if (name === '' || KEPT_DESPITE_CONNECTION.has(name)) continue;
    if (named === undefined) named = [name];
    else named.push(name);
  }
  return named;
}

/** The list without the headers named (lower case). */
export function withoutNamed(raw: readonly string[], named: readonly string[]): string[] {
  const kept: string[] = [];
  // A caller may name thousands of them beside thousands of lines.
  const dropped = named.length > FEW ? new Set(named) : { has: (name: string) => named.includes(name) };
  for (let i = 0; i < raw.length; i += 2) {
    if (!dropped.has(raw[i]!.toLowerCase())) kept.push(raw[i]!, raw[i + 1]!);
  }
  return kept;
}

const FEW = 4;
// Connection options that are no headers, and headers whose loss would change what the message is.
const KEPT_DESPITE_CONNECTION = new Set(['keep-alive', 'close', 'upgrade', 'host', 'content-length', 'content-type', 'content-encoding']);
