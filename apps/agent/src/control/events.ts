import { FUNCTION_CHANGED, NODE_CHANGED } from '@kiln/contract/events';
import { connectionOptions } from '@kiln/state/connection-options';
import { type ClientProxy, ClientProxyFactory, type RedisOptions, ServerRedis, Transport } from '@nestjs/microservices';
import type { Announce } from '../agent.js';

const RETRY_MS = 1000;

/** While Redis is away events are lost, not kept: everybody looks by himself anyway. */
function transportOptions(redisUrl: string): NonNullable<RedisOptions['options']> {
  return {
    ...connectionOptions(redisUrl),
    retryAttempts: Number.MAX_SAFE_INTEGER,
    retryDelay: RETRY_MS,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
  };
}

/** The Redis transport, receiving side. */
export class EventServer extends ServerRedis {
  constructor(redisUrl: string) {
    super(transportOptions(redisUrl));
  }

  /** A goodbye that Redis does not hear any more must not keep this process from ending in order. */
  override async close(): Promise<void> {
    await super.close().catch(() => undefined);
  }
}

/** Sends events of this node. */
export class Events implements Announce {
  private readonly client: ClientProxy;

  constructor(
    redisUrl: string,
    private readonly node: string,
  ) {
    this.client = ClientProxyFactory.create({ transport: Transport.REDIS, options: transportOptions(redisUrl) });
  }

  functionChanged(name: string): void {
    this.emit(FUNCTION_CHANGED, { name });
  }

  nodeChanged(): void {
    this.emit(NODE_CHANGED, { id: this.node });
  }

  async close(): Promise<void> {
    await Promise.resolve(this.client.close()).catch(() => undefined);
  }

  private emit(pattern: string, data: object): void {
    this.client.emit(pattern, data).subscribe({ error: () => undefined });
  }
}
