import type { FunctionConfig } from '@kiln/contract/config/function-config';

export interface ConfigChange {
  /** `timeout` for example, or `env.GREETING` for one variable. */
  key: string;
  /** Absent when the old configuration does not have the key. */
  before?: unknown;
  after?: unknown;
}

/** The differences between two configurations, sorted by key. */
export function configChanges(before: FunctionConfig, after: FunctionConfig): ConfigChange[] {
  const [old, now] = [flat(before), flat(after)];
  const keys = [...new Set([...old.keys(), ...now.keys()])].sort();
  return keys.filter((key) => JSON.stringify(old.get(key)) !== JSON.stringify(now.get(key))).map((key) => change(key, old, now));
}

function change(key: string, old: Map<string, unknown>, now: Map<string, unknown>): ConfigChange {
  return { key, ...(old.has(key) && { before: old.get(key) }), ...(now.has(key) && { after: now.get(key) }) };
}

/** Each variable is a key of its own, so that a change names only that variable. */
function flat({ env, ...config }: FunctionConfig): Map<string, unknown> {
  return new Map([...Object.entries(config), ...Object.entries(env).map(([name, value]) => [`env.${name}`, value] as const)]);
}
