import type { ConnectionOptions } from '@kiln/state/connection-options';
import { ServerRedis } from '@nestjs/microservices';
import { eventOptions, type OutageLog } from './event-options.js';

type Client = ServerRedis['subClient'];

/**
 * Nest's Redis transport, made to outlive Redis. As it comes it subscribes only if Redis answers at the first try, gives up after
 * a number of them, and logs every one.
 */
export class EventServer extends ServerRedis {
  private outage = false;

  constructor(
    connection: ConnectionOptions,
    private readonly log: OutageLog,
  ) {
    super(eventOptions(connection));
  }

  /** Ready at once: the subscription follows when there is a connection, and is renewed by the client after each outage. */
  override start(callback?: () => void): void {
    this.subClient.once('ready', () => this.bindEvents(this.subClient, this.pubClient));
    for (const client of [this.subClient, this.pubClient]) {
      // It goes on by itself; the error handler has heard of it.
      client.connect().catch(() => undefined);
    }
    callback?.();
  }

  override registerErrorListener(client: Client): void {
    client.on('error', (error: Error) => {
      if (!this.outage) this.log.warn({ err: error }, 'control events are away');
      this.outage = true;
    });
  }

  override registerReadyListener(client: Client): void {
    client.on('ready', () => {
      this.outage = false;
    });
  }

  override registerReconnectListener(): void {
    // Said once, with the error.
  }

  override async close(): Promise<void> {
    this.isManuallyClosed = true;
    this.subClient?.disconnect();
    this.pubClient?.disconnect();
  }
}
