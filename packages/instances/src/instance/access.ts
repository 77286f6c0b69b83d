import type { Socket } from 'node:net';
import type { Upstream } from '@kiln/forward/client/upstream';

/** What is known of the work that a connection carries. */
export interface WorkTracker {
  /** Header lines for the next request on it; undefined where it needs none. */
  introduce(): readonly string[] | undefined;
  /** After a close under a request: resolves when its work has ended; false after `limitMs`. Undefined where the instance cannot say. */
  workEnded(limitMs: number): Promise<boolean> | undefined;
}

/** A connection for one request. */
export interface Connection extends WorkTracker {
  readonly upstream: Upstream;
  /** Call once, after the exchange: a sound connection serves the next request, another is dropped. */
  giveBack(): void;
}

/** A connection for raw bytes, the caller's own. */
export interface RawConnection extends WorkTracker {
  readonly socket: Socket;
}

/** How requests reach one instance. */
export interface Access {
  /** The instance says when work has ended whose connection is closed. */
  readonly saysWorkEnds: boolean;
  /** Resolves at the instance's ready signal; rejects when it is destroyed first. */
  ready(): Promise<void>;
  /** Without waiting where one is at hand. @throws Error when none comes in time */
  take(): Connection | Promise<Connection>;
  takeSocket(): Promise<RawConnection>;
  /** Resolves, with the reason, where code in the instance misuses its connections; never rejects. */
  readonly misused?: Promise<string>;
  /** Cuts every connection, now. Must come before the container's removal: its address may be another's at once. */
  destroy(): void;
}
