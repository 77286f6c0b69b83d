import type { IncomingMessage, ServerResponse } from 'node:http';
import { type KilnError, PROBLEM_CONTENT_TYPE, toProblem } from '@kiln/contract/errors';
import { ERROR, REQUEST_ID } from '@kiln/contract/wire/headers';
import { answerHead, get } from '../headers/headers.js';

/** Answers with an error of Kiln's own. The head must not have been sent. `status` where it is not the code's usual one. */
export function writeProblem(
  response: ServerResponse,
  error: KilnError,
  requestId: string,
  extraHeaders: string[] = [],
  status?: number,
): void {
  const { headers, body, code } = problemParts(error, requestId, extraHeaders, status);
  response.writeHead(code, headers);
  if (stillSends(response.req)) endAfterBody(response, body);
  else response.end(body);
}

/** A body whose end can be found is on its way; whoever waits for leave to send it may never do so. */
export function stillSends({ complete, rawHeaders }: IncomingMessage): boolean {
  if (complete || get(rawHeaders, 'expect') !== undefined) return false;
  const encoding = get(rawHeaders, 'transfer-encoding');
  return encoding === undefined ? Number(get(rawHeaders, 'content-length') ?? 0) > 0 : encoding.toLowerCase() === 'chunked';
}

/**
 * Node closes a connection as soon as the answer has ended, where its sender asked for that, and what is sent next meets a reset, which
 * can overtake the answer. So the answer is whole at once for its reader, and ends when the body has come. Somebody has to read on.
 */
function endAfterBody(response: ServerResponse, body: string): void {
  response.write(body);
  const { req } = response;
  const end = () => response.end();
  req.once('end', end).once('close', end);
}

/** The same as the bytes of a whole answer that ends its connection, for sockets that have no response object. */
export function problemMessage(error: KilnError, requestId: string, extraHeaders: string[] = [], status?: number): string {
  const { headers, body, code } = problemParts(error, requestId, extraHeaders, status);
  return answerHead(code, [...headers, 'Connection', 'close']) + body;
}

function problemParts(error: KilnError, requestId: string, extraHeaders: string[], status: number | undefined) {
  const problem = toProblem(error, requestId);
  const code = status ?? problem.status;
  const body = JSON.stringify({ ...problem, status: code });
  const headers = [
    'Content-Type',
    PROBLEM_CONTENT_TYPE,
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
    ERROR,
    error.code,
    REQUEST_ID,
    requestId,
    ...(error.retryAfter === undefined ? [] : ['Retry-After', String(error.retryAfter)]),
    ...extraHeaders,
  ];
  return { headers, body, code };
}
