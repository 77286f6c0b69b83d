import { ERRORS, type ErrorCode, KilnError, PROBLEM_CONTENT_TYPE, toProblem } from '@kiln/contract/errors';
import { ERROR, REQUEST_ID } from '@kiln/contract/wire/headers';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Inject } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { LOG } from './tokens.js';

const BY_STATUS: Record<number, ErrorCode> = { 404: 'not_found', 405: 'method_not_allowed', 413: 'payload_too_large' };

/** The one place that makes a response of an error. */
@Catch()
export class NodeProblemFilter implements ExceptionFilter {
  constructor(@Inject(LOG) private readonly log: Logger) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const error = this.asKilnError(thrown);
    if (host.getType() !== 'http') return;
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const { id } = host.switchToHttp().getRequest<FastifyRequest>();
    void reply
      .status(ERRORS[error.code].status)
      .headers({ [ERROR]: error.code, [REQUEST_ID]: id, 'content-type': PROBLEM_CONTENT_TYPE })
      .headers(error.retryAfter === undefined ? {} : { 'retry-after': String(error.retryAfter) })
      .send(JSON.stringify(toProblem(error, id)));
  }

  private asKilnError(thrown: unknown): KilnError {
    if (thrown instanceof KilnError) return thrown;
    const status = thrown instanceof HttpException ? thrown.getStatus() : (thrown as { statusCode?: number } | undefined)?.statusCode;
    if (status !== undefined && status < 500) return new KilnError(BY_STATUS[status] ?? 'bad_request', (thrown as Error).message);
    this.log.error({ err: thrown }, 'control request failed');
    return new KilnError('internal', 'the agent failed; its log says why');
  }
}
