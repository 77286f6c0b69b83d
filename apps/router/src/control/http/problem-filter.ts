import { KilnError, PROBLEM_CONTENT_TYPE, toProblem } from '@kiln/contract/errors';
import { ERROR, REQUEST_ID } from '@kiln/contract/wire/headers';
import { discard } from '@kiln/forward/exchange/upload';
import { stillSends, writeProblem } from '@kiln/forward/server/problem';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { isGit, isGitClient } from './basic-key.js';
import { methodsOf } from './routes.js';

const CHALLENGE = 'Basic realm="kiln", charset="UTF-8"';

/** The one place where an error becomes an answer. What nobody expected is logged and told to nobody else. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly log: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const known = toKilnError(error, request);
    if (known.code === 'internal') this.log.error({ err: error, requestId: request.id }, 'control request failed');
    // The head is out: all that is left is to show that the answer is not whole.
    if (reply.sent || reply.raw.headersSent) reply.raw.destroy();
    else void sendProblem(reply, known, request.id);
  }
}

export function sendProblem(reply: FastifyReply, error: KilnError, requestId: string): FastifyReply {
  const { request } = reply;
  // A git client asks for a password when it is told that one helps.
  const asks = isGit(request) && error.code === 'unauthorized';
  const extra = {
    ...(error instanceof MethodNotAllowed && { Allow: error.allowed.join(', ') }),
    ...(asks && { 'WWW-Authenticate': CHALLENGE }),
  };
  if (stillSends(request.raw)) {
    // Past Fastify, which would cut off whoever still sends: the rest is read and dropped, within a bound.
    void reply.hijack();
    writeProblem(reply.raw, error, requestId, Object.entries(extra).flat());
    discard(request.raw);
    return reply;
  }
  const problem = toProblem(error, requestId);
  void reply.code(problem.status).headers({ ...extra, [ERROR]: problem.code, [REQUEST_ID]: requestId, 'cache-control': 'no-store' });
  if (error.retryAfter !== undefined) void reply.header('retry-after', error.retryAfter);
  if (!isGitClient(request)) return reply.type(PROBLEM_CONTENT_TYPE).send(JSON.stringify(problem));
  // Git shows plain text to its user, line by line, and nothing else.
  const lines = [`${problem.title}: ${error.message}`, ...(error.fix === undefined ? [] : [error.fix])];
  return reply.type('text/plain; charset=utf-8').send(lines.map((line) => `${line}\n`).join(''));
}

class MethodNotAllowed extends KilnError {
  constructor(
    method: string,
    readonly allowed: string[],
  ) {
    super('method_not_allowed', `${method} is not for this path`, { fix: `use ${allowed.join(' or ')}` });
  }
}

export function toKilnError(error: unknown, request: Pick<FastifyRequest, 'method' | 'url'>): KilnError {
  if (error instanceof KilnError) return error;
  const status = statusOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (status === 404) return nothingHere(request);
  if (status === 413) return new KilnError('payload_too_large', 'the body is larger than the API takes');
  if (status !== undefined && status >= 400 && status < 500) return new KilnError('bad_request', message);
  return new KilnError('internal', 'the router failed; its log has the request id');
}

function nothingHere({ method, url }: Pick<FastifyRequest, 'method' | 'url'>): KilnError {
  const allowed = methodsOf(url.split('?', 1)[0] as string);
  if (allowed.length > 0) return new MethodNotAllowed(method, allowed);
  return new KilnError('not_found', 'nothing is here', { fix: 'see /v1/openapi.json for what there is' });
}

/** Nest's exceptions and Fastify's errors name one. */
function statusOf(error: unknown): number | undefined {
  if (error instanceof HttpException) return error.getStatus();
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' ? status : undefined;
}
