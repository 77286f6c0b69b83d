import type { IncomingMessage } from 'node:http';
import { KINDS } from '@kiln/contract/kinds';
import {
  FUNCTION,
  INSTANCE,
  LOAD,
  NODE,
  NOT_EXECUTED,
  NOTIFY_LEASE,
  REQUEST_ID,
  SECRET,
  START,
  TIMING,
  VERSION,
  WAITING,
} from '@kiln/contract/wire/headers';
import { get } from '@kiln/forward/headers/headers';
import type { Downstream } from '@kiln/forward/server/downstream';
import type { Lease } from '@kiln/instances/instance/instance';
import type { Pools } from '@kiln/instances/pool/pools';
import { endToEnd, functionHeaders, type OwnLines } from '@kiln/instances/serve/end-to-end';
import type { ServedCall } from '@kiln/instances/serve/serve';

const PROCESSING = 102;
const INTERNAL_ERROR = 500;

/** One call of a router: what the router says in its head, and what it is told of the call. */
export class RouterCall implements ServedCall, OwnLines {
  secret: string | undefined;
  function = '';
  version = 0;
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  /** No hop-by-hop headers and none of ours. */
  readonly headers: string[];
  private notifyLease = false;
  private waited = false;

  /** @param downstream undefined for a request that switches protocols: a router hears nothing of its wait */
  constructor(
    { method, url, rawHeaders }: IncomingMessage,
    private readonly pools: Pools,
    private readonly downstream: Downstream | undefined,
  ) {
    this.method = method!;
    this.path = url!;
    this.headers = endToEnd(rawHeaders, this);
    this.requestId = get(this.headers, REQUEST_ID) ?? '';
  }

  /** A line that a router says to us alone. */
  own(name: string, value: string): undefined {
    switch (name.toLowerCase()) {
      case SECRET:
        this.secret = value;
        break;
      case FUNCTION:
        this.function = value;
        break;
      case VERSION:
        this.version = Number(value);
        break;
      case NOTIFY_LEASE:
        this.notifyLease = value === '1';
        break;
    }
  }

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

  /** What the node says of an answer that came from, or failed in, an instance. */
  errorLines(lease: Lease): string[] {
    const { nodeId, load } = this.pools;
    const { start, queueMs, startMs } = lease.waited;
    const timing = `${ms(queueMs)};${ms(startMs)};${ms(performance.now() - lease.since)}`;
    return [NODE, nodeId, INSTANCE, lease.instance.id, START, start, TIMING, timing, LOAD, String(load)];
  }

  /** What it says of a request that reached no instance. */
  refusalLines(): string[] {
    const { nodeId, load } = this.pools;
    return [NODE, nodeId, LOAD, String(load), NOT_EXECUTED, '1'];
  }
}

function ms(value: number): string {
  return value === 0 ? '0' : String(Math.round(value * 100) / 100);
}

/** Says whether what a caller gave is the cluster's secret, in a time that depends only on the secret's length. */
export class CallerCheck {
  constructor(private readonly expected: string) {}

  accepts(given: string | undefined): boolean {
    if (given === undefined) return false;
    const { expected } = this;
    let difference = given.length ^ expected.length;
    // Every character is looked at, whatever the first ones said; beyond its end `charCodeAt` gives NaN, which counts as 0.
    for (let i = 0; i < expected.length; i++) difference |= given.charCodeAt(i) ^ expected.charCodeAt(i);
    return difference === 0;
  }
}
