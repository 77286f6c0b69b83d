import { Controller, Get, Header, Inject } from '@nestjs/common';
import { NodeMetrics } from '../http/metrics.js';

@Controller('metrics')
export class MetricsController {
  constructor(@Inject(NodeMetrics) private readonly metrics: NodeMetrics) {}

  @Get()
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  text() {
    return this.metrics.text();
  }
}
