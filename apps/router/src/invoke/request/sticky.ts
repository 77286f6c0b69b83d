import type { Route } from '../../view/route-table.js';
import type { FunctionAddress } from './address.js';

const COOKIE = 'x-kiln-sticky';
const KEPT_S = 86_400;
const FORM = new RegExp(`(?:^|;)\\s*${COOKIE}=([1-9]\\d{0,8})\\s*(?:;|$)`);

/**
 * The version that a client met before, by what it says itself. It is believed only among versions that have weight, so a forged
 * one is worth no more than a lucky draw.
 */
export function stuckTo(cookie: string | undefined): number | undefined {
  const version = cookie === undefined ? undefined : FORM.exec(cookie)?.[1];
  return version === undefined ? undefined : Number(version);
}

/** For a client that shall meet this version again, and does not say so itself. */
export function cookieFor(route: Route, address: FunctionAddress, version: number, stuck: number | undefined): string | undefined {
  if (!route.sticky || route.traffic.length < 2 || address.version !== undefined) return undefined;
  return stuck === version ? undefined : stickyCookie(version, address.prefix);
}

/** For this function's addresses only: on a host of its own all of them, in path form those below its prefix. */
function stickyCookie(version: number, prefix: string | undefined): string {
  return `${COOKIE}=${version}; Path=${prefix ?? ''}/; Max-Age=${KEPT_S}; HttpOnly; SameSite=Lax`;
}
