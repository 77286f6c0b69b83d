import { FUNCTION_CHANGED } from '@kiln/contract/wire/events';
import type { Catalog } from './catalog.js';

/** Tells the other processes. It neither rejects nor takes long: who misses an event is put right by its next read. */
export interface EventSender {
  emit(event: string, data: object): Promise<void>;
}

/** After a write: this router knows it at once, the others soon. */
export class Announcer {
  constructor(
    private readonly catalog: Catalog,
    private readonly events: EventSender,
  ) {}

  async functionChanged(name: string): Promise<void> {
    // The write itself is done and must not seem to have failed: a read that fails now is made up for by the next.
    await Promise.allSettled([this.catalog.refresh(), this.events.emit(FUNCTION_CHANGED, { name })]);
  }
}
