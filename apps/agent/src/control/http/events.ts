import { FUNCTION_CHANGED, NODE_CHANGED } from '@kiln/contract/wire/events';
import type { EventClient } from '@kiln/service/event-client';
import type { Announce } from '../../agent.js';

/** Sends events of this node. While Redis is away they are lost, not kept: everybody looks by himself anyway. */
export class NodeEvents implements Announce {
  private last: Promise<void> | undefined;

  constructor(
    private readonly client: EventClient,
    private readonly node: string,
  ) {}

  functionChanged(name: string): void {
    this.last = this.client.emit(FUNCTION_CHANGED, { name });
  }

  nodeChanged(): void {
    this.last = this.client.emit(NODE_CHANGED, { id: this.node });
  }

  /** After the last event has gone out, or could not. */
  async close(): Promise<void> {
    await this.last;
    this.client.close();
  }
}
