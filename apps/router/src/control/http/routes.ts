import type { Scope } from '@kiln/contract/records/records';
import { applyDecorators, HttpCode, RequestMapping, RequestMethod } from '@nestjs/common';
import type { z } from 'zod';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** One route as its callers see it. */
export interface ApiRoute {
  method: Method;
  /** Parameters as `:name`. */
  path: string;
  /** Undefined: open to everybody. */
  scope: Scope | undefined;
  summary: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: z.ZodType | 'gzip tar' | 'git';
  status: number;
  answer?: z.ZodType;
  answerType?: 'application/json' | 'application/x-ndjson' | 'application/x-git' | 'text/plain';
}

/** Every route of the control API. The guard reads the scopes here, and the OpenAPI document is made from it. */
export const ROUTES: ApiRoute[] = [];

/** Serves a route by the method of a controller, and lists what the route needs and gives. */
export function Route(
  method: Method,
  path: string,
  scope: Scope | undefined,
  summary: string,
  more: Partial<Omit<ApiRoute, 'method' | 'path' | 'scope' | 'summary'>> = {},
): MethodDecorator {
  const route = { method, path, scope, summary, status: 200, ...more };
  ROUTES.push(route);
  const mapping = RequestMapping({ path, method: RequestMethod[method] });
  // A code that is said counts more than one that the handler sets: the usual ones are left to Nest.
  return route.status === (method === 'POST' ? 201 : 200) ? mapping : applyDecorators(mapping, HttpCode(route.status));
}

/** The route with exactly this path. */
export function routeOf(method: string, path: string | undefined): ApiRoute | undefined {
  return ROUTES.find((route) => route.method === method && route.path === path);
}

/** Methods that a path takes; none for one that is not ours. */
export function methodsOf(path: string): string[] {
  const takes = (route: ApiRoute) => new RegExp(`^${route.path.replace(/:[a-z]+/g, '[^/]+')}$`).test(path);
  return ROUTES.filter(takes).map(({ method }) => method);
}
