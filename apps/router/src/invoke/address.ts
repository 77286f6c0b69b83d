import { FUNCTION_NAME_PATTERN } from '@kiln/contract/names';
import type { Route, VersionRoute } from '../view/route-table.js';

export interface FunctionAddress {
  kind: 'function';
  name: string;
  /** A fixed version; undefined: one drawn by traffic weight. */
  version: number | undefined;
  /** The target as the function sees it, its bytes untouched. */
  path: string;
  /** What was stripped from the front in path form. */
  prefix: string | undefined;
  /** In path form without the slash behind the name: where GET and HEAD are sent. */
  redirect: string | undefined;
}

/** What a request's host and target mean. */
export type Address =
  | FunctionAddress
  /** The host is a function's, or the path starts as one's, but no function can have that name. */
  | { kind: 'no_function'; name: string }
  /** Neither: the router's own paths. */
  | { kind: 'platform'; path: string };

/** What a request runs. */
export interface Picked {
  readonly version: VersionRoute;
  /** `Set-Cookie` for a caller that shall meet this version again. */
  readonly cookie: string | undefined;
}

/** By what functions are addressed. */
export interface AddressForms {
  /** Hosts below it are functions'. */
  readonly domain: string;
  /** Whether paths below `/fn/` are functions', too. */
  readonly byPath: boolean;
}

const PATH_FORM = '/fn/';
const VERSION_HOST = /^v([1-9][0-9]{0,8})--(.+)$/;
const VERSION_SUFFIX = /^([^@]*)@([1-9][0-9]{0,8})$/;
const SHOWN_CHARACTERS = 80;
const STICKY_COOKIE = 'x-kiln-sticky';
const STICKY_S = 86_400;
const STICKY_FORM = new RegExp(`(?:^|;)\\s*${STICKY_COOKIE}=([1-9]\\d{0,8})\\s*(?:;|$)`);

/** Reads the address of a function from the host (`<name>.<domain>`, `v<n>--<name>.<domain>`) or the path (`/fn/<name>[@<n>]/…`). */
export function addressOf(host: string | undefined, target: string, { domain, byPath: takesPaths }: AddressForms): Address {
  const label = host === undefined ? undefined : functionLabel(host, domain);
  if (label !== undefined) return byHost(label, target);
  if (takesPaths && target.startsWith(PATH_FORM)) return byPath(target);
  return { kind: 'platform', path: target };
}

function functionLabel(host: string, domain: string): string | undefined {
  const colon = host.lastIndexOf(':');
  const name = (colon > host.lastIndexOf(']') ? host.slice(0, colon) : host).toLowerCase();
  const dotted = name.endsWith('.') ? name.slice(0, -1) : name;
  if (dotted.length <= domain.length + 1 || !dotted.endsWith(domain)) return undefined;
  return dotted.charCodeAt(dotted.length - domain.length - 1) === 46 ? dotted.slice(0, -domain.length - 1) : undefined;
}

function byHost(label: string, target: string): Address {
  const fixed = VERSION_HOST.exec(label);
  const name = fixed === null ? label : fixed[2]!;
  if (!FUNCTION_NAME_PATTERN.test(name)) return noFunction(name);
  const version = fixed === null ? undefined : Number(fixed[1]);
  return { kind: 'function', name, version, path: target, prefix: undefined, redirect: undefined };
}

function byPath(target: string): Address {
  let end = PATH_FORM.length;
  while (end < target.length && target.charCodeAt(end) !== 47 && target.charCodeAt(end) !== 63) end++;
  const segment = decodedOnce(target.slice(PATH_FORM.length, end));
  const fixed = VERSION_SUFFIX.exec(segment);
  const name = fixed === null ? segment : fixed[1]!;
  if (!FUNCTION_NAME_PATTERN.test(name)) return noFunction(name);
  const prefix = PATH_FORM + segment;
  const hasSlash = target.charCodeAt(end) === 47;
  return {
    kind: 'function',
    name,
    version: fixed === null ? undefined : Number(fixed[2]),
    path: hasSlash ? target.slice(end) : `/${target.slice(end)}`,
    prefix,
    redirect: hasSlash ? undefined : `${prefix}/${target.slice(end)}`,
  };
}

function decodedOnce(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function noFunction(name: string): Address {
  return { kind: 'no_function', name: name.slice(0, SHOWN_CHARACTERS) };
}

/** The version that a request runs: the fixed one, else the client's own while that has weight, else one drawn by weight from [0, 1). */
export function pickVersion(route: Route, fixed: number | undefined, draw: () => number, stuck?: number): VersionRoute | undefined {
  if (fixed !== undefined) return route.versions.get(fixed);
  const { traffic } = route;
  if (traffic.length === 1) return route.versions.get(traffic[0]!.version);
  if (stuck !== undefined && route.sticky && traffic.some(({ version }) => version === stuck)) return route.versions.get(stuck);
  let total = 0;
  for (const { weight } of traffic) total += weight;
  let at = draw() * total;
  for (const { version, weight } of traffic) {
    at -= weight;
    if (at < 0) return route.versions.get(version);
  }
  return undefined;
}

/** The version that a client says it met before. A forged one is worth no more than a lucky draw: it must have weight. */
export function stuckTo(cookie: string | undefined): number | undefined {
  const version = cookie === undefined ? undefined : STICKY_FORM.exec(cookie)?.[1];
  return version === undefined ? undefined : Number(version);
}

/** For a client that shall meet this version again, and does not say so itself. */
export function cookieFor(route: Route, address: FunctionAddress, version: number, stuck: number | undefined): string | undefined {
  if (!route.sticky || route.traffic.length < 2 || address.version !== undefined) return undefined;
  return stuck === version ? undefined : stickyCookie(version, address.prefix);
}

/** For this function's addresses only: on a host of its own all of them, in path form those below its prefix. */
function stickyCookie(version: number, prefix: string | undefined): string {
  return `${STICKY_COOKIE}=${version}; Path=${prefix ?? ''}/; Max-Age=${STICKY_S}; HttpOnly; SameSite=Lax`;
}
