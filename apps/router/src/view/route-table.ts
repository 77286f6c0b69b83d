import type { FunctionConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { ImageKind } from '@kiln/contract/kinds';
import type { FunctionWithVersions } from '@kiln/state/functions/function-entry';

export interface VersionRoute {
  version: number;
  kind: ImageKind;
  config: FunctionConfig;
}

export interface Route {
  name: string;
  /** Those that are ready. */
  versions: ReadonlyMap<number, VersionRoute>;
  traffic: readonly { version: number; weight: number }[];
  /** A client keeps the version that it met first, as long as that has weight. */
  sticky: boolean;
}

/**
 * The functions as requests see them. A change of a function is a new route in place of the old one, so no request sees half of it. A
 * route is made when the first request asks for it: after a change of many functions nobody waits for the routes of all.
 */
export class RouteTable {
  /** Undefined until the functions were read. */
  private all: readonly FunctionWithVersions[] | undefined;
  private readonly entries = new Map<string, FunctionWithVersions>();
  private readonly routes = new Map<string, Route>();

  /** @throws KilnError `unavailable` where the functions were never read */
  find(name: string): Route | undefined {
    return this.routes.get(name) ?? this.make(name);
  }

  /** @param all in the order of their names; entries that are the same as before have not changed */
  replace(all: readonly FunctionWithVersions[]): void {
    const before = this.all ?? [];
    this.all = all;
    let at = 0;
    for (const entry of all) {
      if (before[at] === entry) {
        at++;
        continue;
      }
      const { name } = entry.function;
      for (; at < before.length && before[at]!.function.name < name; at++) this.remove(before[at]!.function.name);
      if (before[at]?.function.name === name) at++;
      this.entries.set(name, entry);
      this.routes.delete(name);
    }
    for (; at < before.length; at++) this.remove(before[at]!.function.name);
  }

  names(): string[] {
    return [...this.entries.keys()];
  }

  private remove(name: string): void {
    this.entries.delete(name);
    this.routes.delete(name);
  }

  private make(name: string): Route | undefined {
    if (this.all === undefined) throw new KilnError('unavailable', 'the router has not read the functions from the store yet');
    const entry = this.entries.get(name);
    if (entry === undefined) return undefined;
    const route = routeOf(entry);
    this.routes.set(name, route);
    return route;
  }
}

function routeOf({ function: { name, traffic, sticky }, versions }: FunctionWithVersions): Route {
  const ready = versions.filter(({ state }) => state === 'ready');
  return {
    name,
    versions: new Map(ready.map(({ version, kind, config }) => [version, { version, kind, config }])),
    traffic: traffic.filter(({ weight }) => weight > 0),
    sticky,
  };
}
