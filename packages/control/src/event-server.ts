import type { ConnectionOptions } from '@kiln/state/store/connection-options';
import { ServerRedis } from '@nestjs/microservices';
import { eventOptions, type OutageLog } from './event-options.js';

type Client = ServerRedis['subClient'];

/**
 * Nest's Redis transport, extended to survive an outage of Redis. The original subscribes only if Redis answers the first try, gives
 * up after some tries, logs each of them, and ends the process if a connection breaks during a subscription.
 */
export class EventServer extends ServerRedis {
  private outage = false;

  constructor(
    connection: ConnectionOptions,
    private readonly log: OutageLog,
  ) {
    // The client's own resubscription would leave a rejected promise without a handler.
    super({ ...eventOptions(connection), autoResubscribe: false } as ReturnType<typeof eventOptions>);
  }

  /** Returns at once; subscribes when a connection is ready, and resubscribes after each reconnection. */
  override start(callback?: () => void): void {
    this.subClient.on('message', this.getMessageHandler(this.pubClient).bind(this));
    this.subClient.on('ready', () => this.subscribe());
    for (const client of [this.subClient, this.pubClient]) {
      // The client retries by itself; the error handler logs the failure.
      client.connect().catch(() => undefined);
    }
    callback?.();
  }

  private subscribe(): void {
    const events = [...this.messageHandlers.keys()];
    // If the connection breaks here, the next connection subscribes.
    if (events.length > 0) this.subClient.subscribe(...events).catch(() => undefined);
  }

  override registerErrorListener(client: Client): void {
    client.on('error', (error: Error) => {
      if (!this.outage) this.log.warn({ err: error }, 'control events disconnected');
      this.outage = true;
    });
  }

  override registerReadyListener(client: Client): void {
    client.on('ready', () => {
      this.outage = false;
    });
  }

  override registerReconnectListener(): void {
    // The error handler has logged the outage.
  }

  override async close(): Promise<void> {
    this.isManuallyClosed = true;
    this.subClient?.disconnect();
    this.pubClient?.disconnect();
  }
}
