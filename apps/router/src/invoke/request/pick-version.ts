import type { Route, VersionRoute } from '../../view/route-table.js';

/**
 * The version that a request runs: the fixed one; else, where clients keep theirs, the one that this client met before as long as
 * it has weight; else one drawn by traffic weight with a number from [0, 1).
 */
export function pickVersion(
  route: Route,
  fixed: number | undefined,
  draw: () => number,
  stuck?: number | undefined,
): VersionRoute | undefined {
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
