import type { FastifyRequest } from 'fastify';
import { requireKey } from '../../invoke/admission.js';
import { callerOf, type Peers } from '../../invoke/request-head.js';
import type { KeyTable } from '../../view/key-table.js';
import { bearerOf, isGit } from './basic-key.js';
import { routeOf } from './routes.js';

/**
 * The one guard of the control API. It looks at the route, never at what the caller wrote, and runs before a body is read. A
 * route that is not listed is for admins.
 * @throws KilnError `unauthorized` or `forbidden`
 */
export function authorise(keys: KeyTable, peers: Peers, request: FastifyRequest): void {
  if (request.is404) return;
  const { method, routeOptions, headers, raw } = request;
  const { scope } = routeOf(method === 'HEAD' ? 'GET' : method, routeOptions.url) ?? { scope: 'admin' };
  if (scope === undefined) return;
  const git = isGit(request);
  const key = git ? bearerOf(headers.authorization) : headers.authorization;
  const fix = git ? 'give an API key as the password; the user name can be any' : undefined;
  const forwarded = headers['x-forwarded-for'];
  const address = callerOf(peers.of(raw.socket), typeof forwarded === 'string' ? forwarded : undefined);
  requireKey(keys, key, scope, address, 'the request has no valid API key', fix);
}
