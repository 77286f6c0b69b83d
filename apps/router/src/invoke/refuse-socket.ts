import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { dropIncoming } from '@kiln/forward/server/http-server';
import { problemMessage, writeProblem } from '@kiln/forward/server/problem';
import { MAX_HEADER_BYTES, RefusedAtDoor } from './request-head.js';

const LONGEST_METHOD = 256;
const METHOD_AND_SPACE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ /;

/** Answers CONNECT: the router tunnels nothing. */
export function refuseConnect(socket: Duplex): void {
  endWith(socket, new KilnError('method_not_allowed', 'CONNECT is not for function calls'));
}

/** Answers an `Expect` other than 100-continue. */
export function refuseExpectation(response: ServerResponse): void {
  response.shouldKeepAlive = false;
  writeProblem(response, new KilnError('bad_request', 'Expect can only be 100-continue'), randomUUID(), [], 417);
}

/**
 * Answers bytes that are no request. No answer is ever written into another: a request before them is answered first.
 * @param last the answer to the last request that came over this connection, while it is under way
 */
export function refuseUnparsed(error: ParserError, socket: Duplex, last: ServerResponse | undefined): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  dropIncoming(socket);
  if (last === undefined) endWith(socket, parserRefusal(error));
  else if (last.req.complete) last.once('close', () => socket.writable && endWith(socket, parserRefusal(error)));
  else if (last.headersSent) socket.destroy();
  else refuseBody(error, last);
}

/** The bytes are the body of a request that waits for its answer: its own answer tells, in its turn. */
function refuseBody(error: NodeJS.ErrnoException, response: ServerResponse): void {
  const { req } = response;
  response.shouldKeepAlive = false;
  // Ends what runs for it; whoever reads the body at the door may answer by itself.
  if (req.listenerCount('error') > 0) req.emit('error', error);
  setImmediate(() => {
    if (response.headersSent || response.destroyed) return;
    const known = parserRefusal(error);
    writeProblem(response, known, randomUUID(), [], known instanceof RefusedAtDoor ? known.status : undefined);
    response.end();
  });
}

function endWith(socket: Duplex, error: KilnError): void {
  // The peer may be gone at any moment, and there is nobody left to tell.
  socket.on('error', () => socket.destroy());
  socket.write(problemMessage(error, randomUUID(), [], error instanceof RefusedAtDoor ? error.status : undefined));
  (socket as Socket).destroySoon();
}

/** What a failure of Node's parser, or of its patience, is for the client. */
function parserRefusal(error: ParserError): KilnError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new RefusedAtDoor(431, `the header block is larger than ${MAX_HEADER_BYTES} bytes`);
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new RefusedAtDoor(413, 'the chunk extensions are too large');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new RefusedAtDoor(408, 'the request head did not come in time');
    case 'HPE_INVALID_METHOD':
      if (namesMethod(error)) return new RefusedAtDoor(501, 'no HTTP method of this name is known here');
  }
  return new KilnError('bad_request', 'the request is not well-formed HTTP/1.1');
}

/** What Node's parser says beside its code. */
interface ParserError extends NodeJS.ErrnoException {
  /** The bytes that it read last, … */
  rawPacket?: Buffer;
  /** … and how far. */
  bytesParsed?: number;
}

/** A request line but for its method, which is a token that the parser does not know; or bytes that are none, as TLS is. */
function namesMethod({ rawPacket, bytesParsed = 0 }: ParserError): boolean {
  if (rawPacket === undefined) return false;
  const start = bytesParsed === 0 ? 0 : rawPacket.lastIndexOf('\n', bytesParsed - 1) + 1;
  return METHOD_AND_SPACE.test(rawPacket.toString('latin1', start, start + LONGEST_METHOD));
}
