import type { IncomingMessage, ServerResponse } from 'node:http';
import { KilnError } from '@kiln/contract/errors';
import { REQUEST_ID } from '@kiln/contract/wire/headers';
import { type AddressForms, addressOf } from './address.js';
import type { Peer, RequestHead } from './request-head.js';

/** The router's own paths, for load balancers. @throws KilnError for any other path */
export function answerPlatform(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  { requestId, ready, forms }: { requestId: string; ready: boolean; forms: AddressForms },
): void {
  const [name] = path.split('?', 1);
  if (name !== '/healthz' && name !== '/readyz') {
    const place = forms.byPath ? '/fn/<name>/' : `http://<name>.${forms.domain}/`;
    throw new KilnError('not_found', `nothing is here; functions are at ${place}`, { fix: `call ${place}` });
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new KilnError('method_not_allowed', 'only GET and HEAD');
  const ok = name === '/healthz' || ready;
  const body = ok ? 'ok\n' : 'not ready\n';
  const headers = { 'Content-Type': 'text/plain', 'Content-Length': body.length, 'Cache-Control': 'no-store', [REQUEST_ID]: requestId };
  response.writeHead(ok ? 200 : 503, headers);
  response.end(body);
}

/** A file with an ending, as pictures, scripts and styles have one. */
const ASSET = /\/[^/]+\.[A-Za-z0-9]{1,10}$/;
const MAX_REFERER = 4096;

/**
 * A page opened under `/fn/<name>/` that names a file from the root of the host means the root of its own site: the browser says
 * in `Referer` which page that was. Gives the function of that page, and where it has the file. Only for what is nobody's otherwise; by
 * host nothing is stray.
 */
export function strayAsset(
  request: IncomingMessage,
  head: RequestHead,
  peer: Peer,
  forms: AddressForms,
): { name: string; location: string } | undefined {
  const { method, url = '', headers } = request;
  if (method !== 'GET' || headers.referer === undefined || headers.referer.length > MAX_REFERER || !isAsset(url)) return undefined;
  const host = (peer.trusted ? head.forwardedHost : undefined) ?? head.host;
  const referer = URL.parse(headers.referer);
  if (referer === null || host === undefined || !/^https?:$/.test(referer.protocol) || referer.host !== hostOf(host, referer.protocol))
    return undefined;
  const page = addressOf(undefined, referer.pathname, forms);
  return page.kind === 'function' && page.prefix !== undefined ? { name: page.name, location: page.prefix + url } : undefined;
}

function isAsset(url: string): boolean {
  const query = url.indexOf('?');
  return ASSET.test(query < 0 ? url : url.slice(0, query));
}

/** As a URL writes it: in small letters, without the port that goes without saying. */
function hostOf(host: string, protocol: string): string | undefined {
  return URL.parse(`${protocol}//${host}`)?.host;
}
