import { isDeepStrictEqual } from 'node:util';
import { type FunctionConfigInput, resolveConfig } from '@kiln/contract/config/function-config';
import type { VersionRecord } from '@kiln/contract/records/records';

/** One key of the configuration: its value now, and the value in `kiln.json`. */
export interface DeclaredChange {
  key: string;
  from: unknown;
  /** Undefined when only the build can tell: the module's own `config` applies where `kiln.json` is silent. */
  to: unknown;
}

/** The build detects these when `kiln.json` does not have them. */
const DETECTED = new Set(['entry', 'handler']);

/** What `kiln.json` would change in the present configuration, key by key. Hides the values of variables. */
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
