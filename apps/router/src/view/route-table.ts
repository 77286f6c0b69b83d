import type { FunctionConfig } from '@kiln/contract/config/function-config';
import type { ImageKind } from '@kiln/contract/kinds';
import type { FunctionWithVersions } from '@kiln/state/functions/function-list';

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

/** The functions as requests see them. A change is a new table in place of the old one, so no request sees half of it. */
export class RouteTable {
  private routes: ReadonlyMap<string, Route> = new Map();

  find(name: string): Route | undefined {
    return this.routes.get(name);
  }

  replace(routes: Route[]): void {
    this.routes = new Map(routes.map((route) => [route.name, route]));
  }

  names(): string[] {
    return [...this.routes.keys()];
  }
}

export function routeOf({ function: { name, traffic, sticky }, versions }: FunctionWithVersions): Route {
  const ready = versions.filter(({ state }) => state === 'ready');
  return {
    name,
    versions: new Map(ready.map(({ version, kind, config }) => [version, { version, kind, config }])),
    traffic: traffic.filter(({ weight }) => weight > 0),
    sticky,
  };
}
