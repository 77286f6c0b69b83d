import { KINDS } from '@kiln/contract/kinds';
import { WAITING } from '@kiln/contract/wire/headers';
import type { Downstream } from '@kiln/forward/server/downstream';
import type { Lease } from '@kiln/instances/instance/lease';
import type { Pools } from '@kiln/instances/pool/pools';
import { functionHeaders } from '@kiln/instances/serve/function-headers';
import type { CallerSide } from '@kiln/instances/serve/served-request';
import { leaseHeaders } from './answer-head.js';

const PROCESSING = 102;
const INTERNAL_ERROR = 500;

/** Tells a router of its request: interim answers while it waits and when it has its lease, and what the node says beside the answer. */
export class ToRouter implements CallerSide {
  private waited = false;

  /** @param downstream undefined for a request that switches protocols: a router hears nothing of its wait */
  constructor(
    private readonly pools: Pools,
    private readonly notifyLease: boolean,
    private readonly downstream: Downstream | undefined,
  ) {}

  waits(): void {
    if (!this.waited) this.downstream?.inform(WAITING);
    this.waited = true;
  }

  /** Until now a router that still has all of the request may take it elsewhere. */
  begins(): void {
    if (this.notifyLease || this.waited) this.downstream?.inform(PROCESSING);
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
