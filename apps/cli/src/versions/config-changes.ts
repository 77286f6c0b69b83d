import type { FunctionConfig } from '@kiln/contract/config/function-config';

export interface ConfigChange {
  /** As `timeout`, or `env.GREETING` for one variable. */
  key: string;
  /** Absent where it was not there. */
  before?: unknown;
  after?: unknown;
}

/** What differs between two configurations, key by key in order of the alphabet. */
export function configChanges(before: FunctionConfig, after: FunctionConfig): ConfigChange[] {
  const [old, now] = [flat(before), flat(after)];
  const keys = [...new Set([...old.keys(), ...now.keys()])].sort();
  return keys.filter((key) => JSON.stringify(old.get(key)) !== JSON.stringify(now.get(key))).map((key) => change(key, old, now));
}

function change(key: string, old: Map<string, unknown>, now: Map<string, unknown>): ConfigChange {
  return { key, ...(old.has(key) && { before: old.get(key) }), ...(now.has(key) && { after: now.get(key) }) };
}

/** Variables stand for themselves: one that changed is no change of all. */
function flat({ env, ...config }: FunctionConfig): Map<string, unknown> {
  return new Map([...Object.entries(config), ...Object.entries(env).map(([name, value]) => [`env.${name}`, value] as const)]);
}
