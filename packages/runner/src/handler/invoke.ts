import type { IncomingMessage, ServerResponse } from 'node:http';
import { KilnError, PROBLEM_CONTENT_TYPE, toProblem } from '@kiln/contract/errors';
import { ERROR, REQUEST_ID } from '@kiln/contract/wire/headers';
import type { FunctionExport } from './exports.js';
import { handlerRuns, handlerSettled, type Settled } from './handler-state.js';
import type { Ending } from './unanswered.js';

/** Called where a handler ended without a response. */
export type OnUnanswered = (response: ServerResponse, ending: Ending) => void;

/** Runs a handler. One that throws before its response gives `function_error`. An app responds itself, also to its errors. */
export async function invoke(
  target: FunctionExport,
  request: IncomingMessage,
  response: ServerResponse,
  onUnanswered: OnUnanswered,
): Promise<void> {
  let piped = false;
  response.once('pipe', () => {
    piped = true;
  });
  let settled: Settled = 'settled';
  handlerRuns(response);
  try {
    const { handler } = target;
    const returned = handler(request, response, (error) => passedOn(request, response, error));
    const isPromise = isThenable(returned);
    if (isPromise) await returned;
    else if (!response.writableEnded) settled = 'left open';
    if (target.kind === 'app' || piped || response.headersSent || response.writableEnded) return;
    onUnanswered(response, isPromise ? 'resolved' : 'returned');
  } catch (error) {
    fail(request, response, error);
  } finally {
    handlerSettled(response, settled);
  }
}

export function requestIdOf(request: IncomingMessage): string {
  const id = request.headers[REQUEST_ID];
  return typeof id === 'string' ? id : '';
}

/** Refuses a body that does not match its content type, before the handler sees it. */
export function refuseBody(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const status = typeof error === 'object' && error !== null && 'status' in error ? Number(error.status) : 400;
  answer(request, response, new KilnError('bad_request', `the body can't be read: ${(error as Error).message}`), status);
}

function fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  console.error(error);
  if (response.headersSent) {
    // A clean end would look like a complete response.
    response.destroy();
    return;
  }
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.setHeader(ERROR, 'function_error');
  answer(request, response, new KilnError('function_error', 'the handler threw; its stack is in the log'));
}

function passedOn(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (error !== undefined && error !== null) fail(request, response, error);
  else if (!response.headersSent && !response.writableEnded)
    answer(request, response, new KilnError('not_found', 'the handler passed the request on, and nothing is behind it'));
}

/** @param given instead of the status that the error usually has */
function answer(request: IncomingMessage, response: ServerResponse, error: KilnError, given?: number): void {
  const problem = toProblem(error, requestIdOf(request));
  const status = given ?? problem.status;
  const body = JSON.stringify({ ...problem, status });
  response.statusCode = status;
  response.setHeader('content-type', PROBLEM_CONTENT_TYPE);
  response.setHeader('content-length', Buffer.byteLength(body));
  response.end(body);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
