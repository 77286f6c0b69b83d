import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Agent } from '../../agent.js';

@Controller()
export class NodeHealthController {
  constructor(@Inject(Agent) private readonly agent: Agent) {}

  @Get('healthz')
  health() {
    return { status: 'ok' };
  }

  /** Whether the node takes requests, with its warnings. */
  @Get('readyz')
  ready(@Res({ passthrough: true }) reply: FastifyReply) {
    const { warnings, draining } = this.agent.status();
    const ready = this.agent.listening && this.agent.lifecycle.takesWork;
    void reply.status(ready ? 200 : 503);
    return { ready, draining, store: this.agent.store.ready, storeTrouble: this.agent.store.trouble?.detail ?? null, warnings };
  }

  @Get('status')
  status() {
    return this.agent.status();
  }
}
