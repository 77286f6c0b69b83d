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
  const changes = keys.map((key) => ({ key, before: old.get(key), after: now.get(key) }));
  return changes.filter(({ before, after }) => JSON.stringify(before) !== JSON.stringify(after));
}

/** Each variable is a key of its own, so that a change names only that variable. */
function flat({ env, ...config }: FunctionConfig): Map<string, unknown> {
  return new Map([...Object.entries(config), ...Object.entries(env).map(([name, value]) => [`env.${name}`, value] as const)]);
}
