import type { Socket } from 'node:net';
import type { Upstream } from '@kiln/forward/upstream';

/** A connection for one request. */
export interface Connection {
  readonly upstream: Upstream;
  /** Call once, after the exchange: a sound connection serves the next request, another is dropped. */
  giveBack(): void;
}

/** How requests reach one instance. */
export interface Access {
  /** Resolves at the instance's ready signal; rejects when it is destroyed first. */
  ready(): Promise<void>;
  /** Without waiting where one is at hand. @throws Error when none comes in time */
  take(): Connection | Promise<Connection>;
  /** A connection for raw bytes, the caller's own from here on. */
  takeSocket(): Promise<Socket>;
  /** Resolves, with the reason, where code in the instance misuses its connections; never rejects. */
  readonly misused?: Promise<string>;
  /** Cuts every connection, now. Must come before the container's removal: its address may be another's at once. */
  destroy(): void;
}
