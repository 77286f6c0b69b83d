import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import type { Traffic } from '@kiln/contract/records/traffic';
import { UsageFailure } from '../failure.js';

/** The share of one version, or of the newest ready version. */
export interface Share {
  version: number | 'latest';
  weight: number;
}

const FORM = /^(?:v?([1-9]\d{0,8})|latest)=(\d{1,3})$/;

/** Reads `3=10 latest=90`. The list may be empty. @throws UsageFailure for a wrong share, or weights that do not sum to 100 */
export function parseShares(name: string, texts: readonly string[]): Share[] {
  const shares = texts.map((text) => parseShare(name, text));
  const sum = shares.reduce((total, { weight }) => total + weight, 0);
  if (sum === 100 || shares.length === 0) return shares;
  throw new UsageFailure(`the weights sum to ${sum}, not to 100`, `as in: kiln traffic ${name} 3=10 latest=90`);
}

function parseShare(name: string, text: string): Share {
  const match = FORM.exec(text);
  const weight = Number(match?.[2]);
  if (match && weight <= 100) return { version: match[1] === undefined ? 'latest' : Number(match[1]), weight };
  const fix = `as in: kiln traffic ${name} 3=10 latest=90; see the versions: kiln versions ${name}`;
  throw new UsageFailure(`"${text}" is no share of traffic: it is a version or "latest", "=", and a whole number from 0 to 100`, fix);
}

/** @throws KilnError `conflict` when no version is ready; UsageFailure when a version is named twice, for example as `latest` */
export function resolveShares(name: string, shares: readonly Share[], versions: readonly VersionRecord[]): Traffic {
  const traffic = shares.map(({ version, weight }) => ({ version: version === 'latest' ? newestReady(name, versions) : version, weight }));
  const twice = traffic.find(({ version }, i) => traffic.findIndex((share) => share.version === version) !== i);
  if (twice === undefined) return traffic;
  const fix = `give it one weight, as in: kiln traffic ${name} ${twice.version}=100; see the versions: kiln versions ${name}`;
  throw new UsageFailure(`version ${twice.version} is named twice`, fix);
}

function newestReady(name: string, versions: readonly VersionRecord[]): number {
  const ready = versions.filter(({ state }) => state === 'ready').map(({ version }) => version);
  if (ready.length > 0) return Math.max(...ready);
  throw new KilnError('conflict', `"${name}" has no version that is ready`, { fix: `see why: kiln versions ${name}` });
}
