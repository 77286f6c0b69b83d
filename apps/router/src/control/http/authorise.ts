import { KilnError } from '@kiln/contract/errors';
import type { Scope } from '@kiln/contract/records/records';
import type { FastifyRequest } from 'fastify';
import { tooManyWrongKeys } from '../../invoke/admission.js';
import { callerOf, type Peers } from '../../invoke/request-head.js';
import type { KeyTable } from '../../view/key-table.js';
import { bearerOf, isGit } from './basic-key.js';
import { ROUTES } from './routes.js';

const SCOPES = new Map(ROUTES.map(({ method, path, scope }) => [`${method} ${path}`, scope]));

/**
 * The one guard of the control API. It looks at the route, never at what the caller wrote, and runs before a body is read. A
 * route that the table does not list is for admins.
 * @throws KilnError `unauthorized` or `forbidden`
 */
export function authorise(keys: KeyTable, peers: Peers, request: FastifyRequest): void {
  if (request.is404) return;
  const scope = scopeOf(request);
  if (scope === undefined) return;
  const git = isGit(request);
  const { authorization } = request.headers;
  switch (keys.allows(git ? bearerOf(authorization) : authorization, scope, addressOf(request, peers))) {
    case 'ok':
      return;
    case 'unauthorized':
      throw new KilnError('unauthorized', 'the request has no valid API key', {
        fix: git ? 'give an API key as the password; the user name can be any' : 'send the header "Authorization: Bearer <key>"',
      });
    case 'limited':
      throw tooManyWrongKeys();
    case 'forbidden':
      throw new KilnError('forbidden', `the API key lacks the scope "${scope}"`, { fix: `use a key that has the scope "${scope}"` });
  }
}

function addressOf({ headers, raw }: FastifyRequest, peers: Peers): string {
  const forwarded = headers['x-forwarded-for'];
  return callerOf(peers.of(raw.socket), typeof forwarded === 'string' ? forwarded : undefined);
}

function scopeOf({ method, routeOptions }: FastifyRequest): Scope | undefined {
  const key = `${method === 'HEAD' ? 'GET' : method} ${routeOptions.url}`;
  return SCOPES.has(key) ? SCOPES.get(key) : 'admin';
}
