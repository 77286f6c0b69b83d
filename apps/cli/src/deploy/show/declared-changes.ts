import { isDeepStrictEqual } from 'node:util';
import { type FunctionConfigInput, resolveConfig } from '@kiln/contract/config/function-config';
import type { VersionRecord } from '@kiln/contract/records/records';

/** One key of the configuration: as it serves, and as `kiln.json` would have it. */
export interface DeclaredChange {
  key: string;
  from: unknown;
  /** Undefined where only the build can tell: what a module says of itself stands below `kiln.json`. */
  to: unknown;
}

/** Found by the build where `kiln.json` does not say. */
const DETECTED = new Set(['entry', 'handler']);

/** What `kiln.json` would change of the configuration that serves, key by key. Values of variables are not told. */
export function declaredChanges(declared: FunctionConfigInput, { config: serving, kind }: VersionRecord): DeclaredChange[] {
  const { env, ...next } = resolveConfig(declared, kind);
  const { env: envNow, ...now } = serving;
  const keys = [...new Set([...Object.keys(now), ...Object.keys(next)])] as (keyof typeof next)[];
  const changes: DeclaredChange[] = [];
  for (const key of keys) {
    if (isDeepStrictEqual(now[key], next[key])) continue;
    if (key in declared) changes.push({ key, from: now[key], to: next[key] });
    else if (!DETECTED.has(key)) changes.push({ key, from: now[key], to: kind === 'runner' ? undefined : next[key] });
  }
  return [...changes, ...envChanges(envNow, env)];
}

function envChanges(now: Readonly<Record<string, string>>, next: Readonly<Record<string, string>>): DeclaredChange[] {
  const names = [...new Set([...Object.keys(now), ...Object.keys(next)])].filter((name) => now[name] !== next[name]);
  const told = (value: string | undefined) => (value === undefined ? 'unset' : 'set');
  return names.sort().map((name) => {
    const [from, to] = [told(now[name]), told(next[name])];
    return { key: `env.${name}`, from, to: from === to ? 'another value' : to };
  });
}
