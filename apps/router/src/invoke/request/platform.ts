import type { IncomingMessage, ServerResponse } from 'node:http';
import { KilnError } from '@kiln/contract/errors';
import { REQUEST_ID } from '@kiln/contract/wire/headers';
import type { AddressForms } from './address.js';

/**
 * The router's own paths, for load balancers.
 * @throws KilnError for any other path
 */
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
  response.writeHead(ok ? 200 : 503, [
    'Content-Type',
    'text/plain',
    'Content-Length',
    String(body.length),
    'Cache-Control',
    'no-store',
    REQUEST_ID,
    requestId,
  ]);
  response.end(body);
}
