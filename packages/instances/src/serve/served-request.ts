import type { RequestBody } from '@kiln/forward/exchange/request-body';
import type { Downstream } from '@kiln/forward/server/downstream';
import type { Lease } from '../instance/lease.js';

/** A request as it goes to an instance. */
export interface ServedHead {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  /** Nothing hop-by-hop among them. */
  readonly headers: string[];
}

/** What the caller's side is told, and what it adds to an answer. */
export interface CallerSide {
  /** There is no lease for it yet. */
  waits(): void;
  /** The request goes to an instance: from here on it may have run. */
  begins(): void;
  /** The header lines for the caller, of those that the instance answered. */
  answerLines(lease: Lease, status: number, answered: readonly string[]): string[];
  /** Header lines beside an error that the platform tells of an instance. */
  errorLines(lease: Lease): string[];
}

/** An ordinary request and where its answer goes. */
export interface ServedRequest {
  head: ServedHead;
  caller: CallerSide;
  downstream: Downstream;
  body: RequestBody;
}
