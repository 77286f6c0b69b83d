import type { ConnectionOptions } from '@kiln/state/store/connection-options';
import { ServerRedis } from '@nestjs/microservices';
import { eventOptions, type OutageLog } from './event-options.js';

type Client = ServerRedis['subClient'];

/**
 * Nest's Redis transport, made to outlive Redis. As it comes it subscribes only if Redis answers at the first try, gives up after
 * a number of them, logs every one, and a subscription that a broken connection cuts off ends the process.
 */
export class EventServer extends ServerRedis {
  private outage = false;

  constructor(
    connection: ConnectionOptions,
    private readonly log: OutageLog,
  ) {
    // The client's own renewal leaves the same rejection unheard.
    super({ ...eventOptions(connection), autoResubscribe: false } as ReturnType<typeof eventOptions>);
  }

  /** Ready at once: the subscription follows when there is a connection, and at each one after it. */
  override start(callback?: () => void): void {
    this.subClient.on('message', this.getMessageHandler(this.pubClient).bind(this));
    this.subClient.on('ready', () => this.subscribe());
    for (const client of [this.subClient, this.pubClient]) {
      // It goes on by itself; the error handler has heard of it.
      client.connect().catch(() => undefined);
    }
    callback?.();
  }

  private subscribe(): void {
    const events = [...this.messageHandlers.keys()];
    // Cut off by the end of a connection: the next one brings it.
    if (events.length > 0) this.subClient.subscribe(...events).catch(() => undefined);
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
