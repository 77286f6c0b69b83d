import type { IncomingMessage } from 'node:http';
import { KilnError } from '@kiln/contract/errors';
import { MAX_HEADER_BYTES, MAX_HEADERS, refuseAmbiguous, tooManyHeaders } from '@kiln/forward/server/strict';

/**
 * The request never got as far as a function, and nothing behind it on its connection is read. Its status says more than its code.
 */
export class RefusedAtDoor extends KilnError {
  constructor(
    readonly status: number,
    detail: string,
  ) {
    super('bad_request', detail);
  }
}

/**
 * Refuses what is ambiguous before anything else looks at the request.
 * @throws KilnError
 */
export function refuseAtDoor(request: IncomingMessage): void {
  if (tooManyHeaders(request)) throw new RefusedAtDoor(431, `more than ${MAX_HEADERS} header lines`);
  const reason = refuseAmbiguous(request);
  if (reason !== undefined) throw new RefusedAtDoor(400, reason);
  if (request.method === 'TRACE') throw new KilnError('method_not_allowed', 'TRACE would show the headers that were added on the way');
}

/** What a failure of Node's parser, or of its patience, is for the client. */
export function parserRefusal(error: NodeJS.ErrnoException): KilnError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new RefusedAtDoor(431, `the header block is larger than ${MAX_HEADER_BYTES} bytes`);
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new RefusedAtDoor(413, 'the chunk extensions are too large');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new RefusedAtDoor(408, 'the request head did not come in time');
    default:
      return new KilnError('bad_request', 'the request is not well-formed HTTP/1.1');
  }
}
