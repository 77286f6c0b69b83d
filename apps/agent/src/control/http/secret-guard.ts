import { KilnError } from '@kiln/contract/errors';
import { SECRET } from '@kiln/contract/wire/headers';
import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { CallerCheck } from '../../invoke/router-call.js';

/** The one open route: whether this process lives. */
const HEALTH_PATH = '/healthz';

/** Accepts requests of the cluster's own processes only. */
@Injectable()
export class SecretGuard implements CanActivate {
  constructor(@Inject(CallerCheck) private readonly check: CallerCheck) {}

  canActivate(context: ExecutionContext): boolean {
    // Control events come from the store, not from a client.
    if (context.getType() !== 'http') return true;
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    if (request.url === HEALTH_PATH) return true;
    const given = request.headers[SECRET];
    if (this.check.accepts(typeof given === 'string' ? given : undefined)) return true;
    throw new KilnError('unauthorized', 'this is not one of the cluster’s processes');
  }
}
