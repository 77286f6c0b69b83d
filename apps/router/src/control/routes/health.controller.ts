import { Store } from '@kiln/state/store/store';
import { Controller, Header, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { RouterLifecycle } from '../../lifecycle.js';
import { Metrics } from '../http/metrics.js';
import { openApiDocument } from '../http/openapi.js';
import { Route } from '../http/routes.js';

@Controller()
export class HealthController {
  private readonly document = openApiDocument();

  constructor(
    @Inject(RouterLifecycle) private readonly lifecycle: RouterLifecycle,
    @Inject(Store) private readonly store: Store,
    @Inject(Metrics) private readonly metrics: Metrics,
  ) {}

  @Route('GET', '/v1/openapi.json', 'read', 'This document', { answer: z.looseObject({ openapi: z.string() }) })
  openApi(): object {
    return this.document;
  }

  @Route('GET', '/healthz', undefined, 'Whether the process runs', { answerType: 'text/plain' })
  @Header('content-type', 'text/plain')
  healthz(): string {
    return 'ok\n';
  }

  /** The first line is the state. Without the store the router goes on with what it knows, so that only degrades it. */
  @Route('GET', '/readyz', undefined, 'Whether it should get requests', { answerType: 'text/plain' })
  @Header('content-type', 'text/plain')
  readyz(@Res({ passthrough: true }) reply: FastifyReply): string {
    const { isReady, phase } = this.lifecycle;
    const { ready, trouble } = this.store;
    void reply.code(isReady ? 200 : 503);
    const serving = ready && trouble === undefined ? 'ready' : 'degraded';
    const lines = [isReady ? serving : phase, ...(ready && trouble !== undefined ? [trouble.detail] : [])];
    return lines.map((line) => `${line}\n`).join('');
  }

  @Route('GET', '/metrics', 'read', 'Prometheus metrics', { answerType: 'text/plain' })
  metricsText(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    const { registry } = this.metrics;
    void reply.type(registry.contentType);
    return registry.metrics();
  }
}
