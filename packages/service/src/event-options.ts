import type { ConnectionOptions } from '@kiln/state/store/connection-options';
import type { RedisOptions } from '@nestjs/microservices';

export interface OutageLog {
  warn(details: object, message: string): void;
}

const RETRY_MS = 500;
const CONNECT_MS = 2000;

/** Options of a connection for events that reconnects for ever. */
export function eventOptions(connection: ConnectionOptions): NonNullable<RedisOptions['options']> {
  return {
    ...connection,
    retryAttempts: Number.MAX_SAFE_INTEGER,
    retryDelay: RETRY_MS,
    connectTimeout: CONNECT_MS,
    maxRetriesPerRequest: 0,
  } as NonNullable<RedisOptions['options']>;
}
