import { Controller, Get, Header, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Metrics } from '../http/metrics.js';
import { openApiDocument } from '../http/openapi.js';
import { Readiness } from '../http/readiness.js';

const DOCUMENT = openApiDocument();

@Controller()
export class HealthController {
  constructor(
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Metrics) private readonly metrics: Metrics,
  ) {}

  @Get('healthz')
  @Header('content-type', 'text/plain')
  healthz(): string {
    return 'ok\n';
  }

  /** The first line is the state. */
  @Get('readyz')
  @Header('content-type', 'text/plain')
  readyz(@Res({ passthrough: true }) reply: FastifyReply): string {
    void reply.code(this.readiness.ready ? 200 : 503);
    const { state, trouble } = this.readiness;
    return trouble === undefined ? `${state}\n` : `${state}\n${trouble}\n`;
  }

  @Get('metrics')
  async metricsText(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    void reply.type(this.metrics.contentType);
    return this.metrics.text();
  }

  @Get('v1/openapi.json')
  openApi(): object {
    return DOCUMENT;
  }
}
