import type { FunctionView } from '@kiln/contract/api/control-api';
import type { VersionRecord } from '@kiln/contract/records/records';
import { UsageFailure } from '../failure.js';

export interface Target {
  /** Where to connect. */
  origin: URL;
  /** Sent byte for byte: `..` and percent-encoding are the function's business. */
  path: string;
}

/** @throws UsageFailure for what no request line can hold. */
export function requirePath(path: string): string {
  if (/[^\x21-\x7e]/.test(path)) throw new UsageFailure(`"${path}" holds what a path can't`, 'percent-encode it: a space is %20');
  return path;
}

/** A path inside a function, in one version of it where one is given. */
export function targetOf({ url, name }: Pick<FunctionView, 'url' | 'name'>, version: number | undefined, path: string): Target {
  const origin = new URL(url);
  const base = origin.pathname.replace(/\/+$/, '');
  if (version !== undefined && !base.endsWith(`/fn/${name}`)) {
    throw new UsageFailure(`${url} has no place for a version`, 'call it without @<version>');
  }
  return { origin, path: `${base}${version === undefined ? '' : `@${version}`}/${path.replace(/^\//, '')}` };
}

/** Whether some version that the call may reach wants a key. */
export function wantsKey(view: FunctionView, versions: readonly VersionRecord[], version: number | undefined): boolean {
  const reached = version === undefined ? view.traffic.filter(({ weight }) => weight > 0).map((share) => share.version) : [version];
  return versions.some((record) => reached.includes(record.version) && record.config.auth === 'key');
}
