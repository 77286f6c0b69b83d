import { FUNCTION_CHANGED, KEY_CHANGED, NODE_CHANGED } from '@kiln/contract/wire/events';
import { Controller, Inject } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import { Refresh } from '../../view/refresh.js';

/** Events only say "look again": what they hold is not read. */
@Controller()
export class EventsController {
  constructor(@Inject(Refresh) private readonly refresh: Refresh) {}

  @EventPattern<string>(FUNCTION_CHANGED)
  functionChanged(): void {
    this.refresh.nudge('functions');
  }

  @EventPattern<string>(NODE_CHANGED)
  nodeChanged(): void {
    this.refresh.nudge('nodes');
  }

  @EventPattern<string>(KEY_CHANGED)
  keyChanged(): void {
    this.refresh.nudge('keys');
  }
}
