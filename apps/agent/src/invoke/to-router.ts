import type { ServerResponse } from 'node:http';
import { KINDS } from '@kiln/contract/kinds';
import { WAITING } from '@kiln/contract/wire/headers';
import type { Lease } from '@kiln/instances/instance/lease';
import type { Pools } from '@kiln/instances/pool/pools';
import { functionHeaders } from '@kiln/instances/serve/function-headers';
import type { Downstream } from '@kiln/instances/serve/served-request';
import { leaseHeaders } from './answer-head.js';

const INTERNAL_ERROR = 500;

/** Tells a router of its request: interim answers while it waits and when it has its lease, and what the node says beside the answer. */
export class ToRouter implements Downstream {
  private waited = false;

  /** @param response undefined for a request that switches protocols: a router hears nothing of its wait */
  constructor(
    private readonly pools: Pools,
    private readonly notifyLease: boolean,
    private readonly response: ServerResponse | undefined,
  ) {}

  waits(): void {
    if (!this.waited) this.response?.writeInformation(WAITING);
    this.waited = true;
  }

  /** Until now a router that still has all of the request may take it elsewhere. */
  begins(): void {
    if (this.notifyLease || this.waited) this.response?.writeProcessing();
  }

  answerLines(lease: Lease, status: number, answered: readonly string[]): string[] {
    const isRunner = KINDS[lease.instance.version.kind].reachedBy === 'socket';
    const lines = functionHeaders(answered, isRunner && status === INTERNAL_ERROR);
    lines.push(...this.errorLines(lease));
    return lines;
  }

  errorLines(lease: Lease): string[] {
    return leaseHeaders(this.pools.nodeId, this.pools.load, lease, performance.now());
  }
}
