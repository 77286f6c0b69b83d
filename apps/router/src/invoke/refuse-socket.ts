import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { problemMessage, writeProblem } from '@kiln/forward/problem';
import { parserRefusal, RefusedAtDoor } from './refuse-at-door.js';

/** Answers CONNECT: the router tunnels nothing. */
export function refuseConnect(socket: Duplex): void {
  endWith(socket, new KilnError('method_not_allowed', 'CONNECT is not for function calls'));
}

/** Answers an `Expect` other than 100-continue. */
export function refuseExpectation(response: ServerResponse): void {
  response.shouldKeepAlive = false;
  writeProblem(response, new KilnError('bad_request', 'Expect can only be 100-continue'), randomUUID(), [], 417);
}

/** Answers bytes that are no request, unless an answer is already on its way: then the connection can only be cut. */
export function refuseUnparsed(error: NodeJS.ErrnoException, socket: Duplex, response: ServerResponse | undefined): void {
  const answering = response !== undefined && !response.writableFinished && response.headersSent;
  if (error.code === 'ECONNRESET' || !socket.writable || answering) socket.destroy();
  else endWith(socket, parserRefusal(error));
}

function endWith(socket: Duplex, error: KilnError): void {
  // The peer may be gone at any moment, and there is nobody left to tell.
  socket.on('error', () => socket.destroy());
  socket.write(problemMessage(error, randomUUID(), [], error instanceof RefusedAtDoor ? error.status : undefined));
  (socket as Socket).destroySoon();
}
