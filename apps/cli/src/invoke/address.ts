import type { FunctionView } from '@kiln/contract/api/control-api';
import type { VersionRecord } from '@kiln/contract/records/records';
import { UsageFailure } from '../failure.js';

export interface Target {
  /** Where to connect. */
  origin: URL;
  /** Sent byte for byte: `..` and percent-encoding reach the function unchanged. */
  path: string;
}

/** @throws UsageFailure for characters that a request line cannot hold */
export function requirePath(path: string): string {
  if (/[^\x21-\x7e]/.test(path))
    throw new UsageFailure(`"${path}" has characters that a path cannot have`, 'percent-encode it: a space is %20');
  return path;
}

/** The address of a path inside a function, or inside one version of it. */
export function targetOf({ url, name }: FunctionView, version: number | undefined, path: string): Target {
  const origin = new URL(url);
  const base = origin.pathname.replace(/\/+$/, '');
  if (version !== undefined && !base.endsWith(`/fn/${name}`)) {
    throw new UsageFailure(`${url} cannot address a version`, 'call it without @<version>');
  }
  return { origin, path: `${base}${version === undefined ? '' : `@${version}`}/${path.replace(/^\//, '')}` };
}

/** Whether a version that the call may reach demands a key. */
export function wantsKey(view: FunctionView, versions: readonly VersionRecord[], version: number | undefined): boolean {
  const reached = version === undefined ? view.traffic.filter(({ weight }) => weight > 0).map((share) => share.version) : [version];
  return versions.some((record) => reached.includes(record.version) && record.config.auth === 'key');
}
