import type { FastifyRequest } from 'fastify';

const BASIC = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i;
const MAX_CHARS = 512;

/** Where git clients come: they know Basic authentication. */
export function isGit({ url }: Pick<FastifyRequest, 'url'>): boolean {
  return url.startsWith('/git/');
}

export function isGitClient(request: Pick<FastifyRequest, 'url' | 'headers'>): boolean {
  return isGit(request) && (request.headers['user-agent'] ?? '').startsWith('git/');
}

/** Git's user name and password as the header that all other callers send: the password is the key, the user name can be any. */
export function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > MAX_CHARS) return undefined;
  const encoded = BASIC.exec(authorization)?.[1];
  if (encoded === undefined) return authorization;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon < 0 ? undefined : `Bearer ${pair.slice(colon + 1)}`;
}
