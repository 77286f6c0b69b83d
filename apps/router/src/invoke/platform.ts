import type { IncomingMessage, ServerResponse } from 'node:http';
import { KilnError } from '@kiln/contract/errors';
import { REQUEST_ID } from '@kiln/contract/headers';

/**
 * The router's own paths, for load balancers.
 * @throws KilnError for any other path
 */
export function answerPlatform(request: IncomingMessage, response: ServerResponse, path: string, requestId: string, ready: boolean): void {
  const [name] = path.split('?', 1);
  if (name !== '/healthz' && name !== '/readyz') {
    throw new KilnError('not_found', 'nothing is here; functions are at /fn/<name>/', { fix: 'call /fn/<name>/' });
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
