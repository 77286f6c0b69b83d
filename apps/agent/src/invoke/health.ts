import type { IncomingMessage, ServerResponse } from 'node:http';
import { FUNCTION, NODE } from '@kiln/contract/wire/headers';
import { get } from '@kiln/forward/headers/headers';

const TEXT = ['Content-Type', 'text/plain', 'Cache-Control', 'no-store', 'Content-Length'];

/** Somebody who comes with `HEALTH_PATH` asks whether this door answers; a function's own path of that name comes with the function's name. */
export function isHealthQuestion({ rawHeaders }: IncomingMessage): boolean {
  return get(rawHeaders, FUNCTION) === undefined;
}

/** Says nothing that a stranger may not know, and waits for nothing. */
export function answerHealth(request: IncomingMessage, response: ServerResponse, node: string, takesWork: boolean): void {
  const [status, body] = answerOf(get(request.rawHeaders, NODE), node, takesWork);
  response.writeHead(status, [...TEXT, String(body.length)]);
  response.end(body);
  request.resume();
}

function answerOf(asked: string | undefined, node: string, takesWork: boolean): [number, string] {
  if (asked !== undefined && asked !== node) return [421, 'another node\n'];
  return takesWork ? [200, 'ok\n'] : [503, 'draining\n'];
}
