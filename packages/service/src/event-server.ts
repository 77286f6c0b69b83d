import type { ConnectionOptions } from '@kiln/state/store/connection-options';
import { ServerRedis } from '@nestjs/microservices';
import { eventOptions, type OutageLog } from './event-options.js';

type Client = ServerRedis['subClient'];

/**
 * Nest's Redis transport, made to survive an outage of Redis. The original subscribes only if Redis answers the first attempt, gives
 * up after some attempts, logs each of them, and ends the process when a connection breaks during a subscription.
 */
export class EventServer extends ServerRedis {
  private outage = false;

  constructor(
    connection: ConnectionOptions,
    private readonly log: OutageLog,
  ) {
    // The client's own resubscription would leave the same rejection unhandled.
    super({ ...eventOptions(connection), autoResubscribe: false } as ReturnType<typeof eventOptions>);
  }

  /** Ready at once. Subscribes on the first connection and resubscribes on each later one. */
  override start(callback?: () => void): void {
    this.subClient.on('message', this.getMessageHandler(this.pubClient).bind(this));
    this.subClient.on('ready', () => this.subscribe());
    for (const client of [this.subClient, this.pubClient]) {
      // The client reconnects by itself; the error handler logs the error.
      client.connect().catch(() => undefined);
    }
    callback?.();
  }

  private subscribe(): void {
    const events = [...this.messageHandlers.keys()];
    // Fails when the connection breaks; the next connection subscribes again.
    if (events.length > 0) this.subClient.subscribe(...events).catch(() => undefined);
  }

  override registerErrorListener(client: Client): void {
    client.on('error', (error: Error) => {
      if (!this.outage) this.log.warn({ err: error }, 'control event connection failed');
      this.outage = true;
    });
  }

  override registerReadyListener(client: Client): void {
    client.on('ready', () => {
      this.outage = false;
    });
  }

  override registerReconnectListener(): void {
    // The error listener logs the outage once.
  }

  override async close(): Promise<void> {
    this.isManuallyClosed = true;
    this.subClient?.disconnect();
    this.pubClient?.disconnect();
  }
}
