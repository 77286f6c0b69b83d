import { FUNCTION_CHANGED, NODE_CHANGED } from '@kiln/contract/wire/events';
import { Controller, Inject } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import { Agent } from '../../agent.js';

/** Requests a reconcile pass at once, instead of within 2 s. */
@Controller()
export class NodeEventsController {
  constructor(@Inject(Agent) private readonly agent: Agent) {}

  @EventPattern([FUNCTION_CHANGED, NODE_CHANGED])
  changed(): void {
    this.agent.reconciler.kick();
  }
}
