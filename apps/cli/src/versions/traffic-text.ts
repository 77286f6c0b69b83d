import type { Traffic } from '@kiln/contract/records/traffic';

/** `v3`, or `v2 90 %, v3 10 %`. */
export function trafficText(traffic: Traffic): string {
  const shares = traffic.filter(({ weight }) => weight > 0);
  if (shares.length === 0) return 'no ready version';
  if (shares.length === 1) return `v${shares[0]?.version}`;
  return shares.map(({ version, weight }) => `v${version} ${weight} %`).join(', ');
}
