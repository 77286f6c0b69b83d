import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionOptions } from '@kiln/state/store/connection-options';
import { ClientRedis } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { eventOptions, type OutageLog } from './event-options.js';

/** The longest wait for sending an event. A receiver that misses it reads the store again soon. */
const EMIT_MS = 500;

/** Sends control events through Nest's Redis transport. */
export class EventClient {
  private readonly client: QuietClient;

  constructor(
    connection: ConnectionOptions,
    private readonly log: OutageLog,
  ) {
    this.client = new QuietClient(eventOptions(connection));
  }

  async emit(event: string, data: object): Promise<void> {
    const patience = new AbortController();
    try {
      const sent = lastValueFrom(this.client.emit(event, data), { defaultValue: undefined });
      await Promise.race([sent, delay(EMIT_MS, undefined, { signal: patience.signal })]);
    } catch (error) {
      this.log.warn({ err: error, event }, 'control event not sent');
    } finally {
      patience.abort();
    }
  }

  close(): void {
    this.client.disconnect();
  }
}

/** Logs no reconnection: `emit` reports the error to its caller. */
class QuietClient extends ClientRedis {
  override registerErrorListener(client: ClientRedis['pubClient']): void {
    client.on('error', () => undefined);
  }

  disconnect(): void {
    this.isManuallyClosed = true;
    this.pubClient?.disconnect();
    this.subClient?.disconnect();
  }
}
