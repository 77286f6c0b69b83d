import type { KilnError } from '@kiln/contract/errors';
import type { RequestBody } from '@kiln/forward/body/request-body';
import { isLocalFault } from '@kiln/forward/client/upstream';
import { type Exchange, type ForwardOptions, forward, type Outcome } from '@kiln/forward/exchange/forward';
import type { Downstream } from '@kiln/forward/server/downstream';
import type { Connection, WorkTracker } from '../instance/access.js';
import type { Lease } from '../instance/instance.js';
import type { InstancePool } from '../pool/instance-pool.js';
import { failureOf, notReached, TIMEOUT, timedOut } from './serve-errors.js';
import { untilWorkEnds, WORK_GRACE_MS } from './work-end.js';

/** Instances that may turn out gone under one request before a byte of it was sent. */
const MAX_LEASES = 3;
/** Connections beyond the first that may turn out closed before a byte was sent, in one instance. */
const MAX_UNSENT = 3;
const SWITCHED = 101;
/** The caller left, and the work did not end in the grace that it is then given. */
const LEFT = 'the caller left';
/** A caller that reads nothing of its answer for so long, or for twice as long at most, is given up. */
const STALLED_MS = 20_000;

/** A call as it goes to an instance, and what its sender is told of it. */
export interface ServedCall {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  /** Nothing hop-by-hop among them. */
  readonly headers: string[];
  /** There is no lease for it yet. */
  waits(): void;
  /** The request goes to an instance: from here on it may have run. */
  begins(): void;
  /** The header lines for the caller, of those that the instance answered. */
  answerLines(lease: Lease, status: number, answered: readonly string[]): string[];
  /** Header lines beside an error that the platform tells of an instance. */
  errorLines(lease: Lease): string[];
}

/** Where the answer goes, as far as it matters here. */
export type AnswerSide = Omit<Downstream, 'onDrain' | 'inform' | 'begin' | 'flush' | 'write' | 'end' | 'cut'>;

/** What takes a lease: a request, or a switch of protocols. */
export interface Served {
  readonly call: ServedCall;
  readonly downstream: AnswerSide;
  /** All of it is at hand: it can be sent once more. */
  readonly replayable: boolean;
  /** The one of the last attempt. */
  readonly connection: WorkTracker | undefined;
  /** Sends it to the instance, over one connection. Never rejects: an error says why there was no connection. */
  attempt(lease: Lease, limit: TimeLimit): Promise<Outcome | Error>;
  /** Nobody wants the rest of it. */
  discard(): void;
}

/**
 * The way of a call through a pool: lease, forward, release. Resolves when its work has ended, or its caller left before it had a lease.
 * @throws KilnError where nothing was executed and nothing answered
 */
export async function serve(served: Served, pool: InstancePool): Promise<void> {
  const { call, downstream } = served;
  for (let leases = 1; ; leases++) {
    let lease = pool.tryLease(call.requestId);
    if (lease === undefined) {
      call.waits();
      lease = await waitForLease(pool, call.requestId, downstream);
      if (lease === undefined) return;
    }
    let fault: Error | undefined;
    try {
      fault = await withLease(served, pool, lease);
    } finally {
      lease.release();
    }
    if (fault === undefined) return;
    // Nothing of it reached that instance: another may have it.
    if (leases === MAX_LEASES || !served.replayable || isLocalFault(fault)) throw notReached(pool.version, fault);
  }
}

/** A place in the queue until there is a lease; undefined where the client left. @throws KilnError; nothing was executed */
async function waitForLease(
  pool: InstancePool,
  requestId: string,
  client: Pick<Downstream, 'gone' | 'onGone' | 'offGone'>,
): Promise<Lease | undefined> {
  if (client.gone) return undefined;
  const waiting = pool.wait(requestId);
  const gone = Promise.withResolvers<undefined>();
  const onClose = () => gone.resolve(undefined);
  client.onGone(onClose);
  try {
    const lease = await Promise.race([waiting.lease, gone.promise]);
    if (lease !== undefined && !client.gone) return lease;
    waiting.cancel();
    // It may have been granted in this very moment.
    waiting.lease.then(
      (granted) => granted.release(),
      () => undefined,
    );
    return undefined;
  } finally {
    client.offGone(onClose);
  }
}

/** `timeout` counts from here. @returns why nothing of it reached the instance; undefined where it has ended */
async function withLease(served: Served, pool: InstancePool, lease: Lease): Promise<Error | undefined> {
  const limit = new TimeLimit(served.downstream, lease.since, pool.version.config.timeout);
  try {
    for (let unsent = 0; ; unsent++) {
      const outcome = await served.attempt(lease, limit);
      if (outcome instanceof Error) return unreached(served, pool, lease, outcome, limit.late);
      if (outcome.kind === 'not_sent') {
        if (unsent === MAX_UNSENT || !served.replayable || limit.late) return unreached(served, pool, lease, outcome.error, limit.late);
      } else {
        if (outcome.kind !== 'relayed' || outcome.status === SWITCHED) await conclude(served, pool, lease, outcome, limit);
        return undefined;
      }
    }
  } finally {
    limit.clear();
  }
}

/** Its answer is not the end of it: the caller may have to be told something, and the function may be at work on it. */
async function conclude(served: Served, pool: InstancePool, lease: Lease, outcome: Outcome, limit: TimeLimit): Promise<void> {
  if (outcome.kind === 'broken') served.discard();
  if (outcome.kind === 'aborted' && (outcome.reason === TIMEOUT || outcome.reason === LEFT)) pool.condemn(lease.instance);
  if ('responseStarted' in outcome && !outcome.responseStarted) fail(served, lease, await failureOf(outcome, lease.instance));
  if (served.connection !== undefined) await untilWorkEnds(lease, pool, served.connection, outcome, limit.left);
}

/** It holds a lease and the instance takes no request: the instance is not used again, unless the fault is this machine's. */
function unreached(served: Served, pool: InstancePool, lease: Lease, fault: Error, late: boolean): Error | undefined {
  if (!isLocalFault(fault)) pool.condemn(lease.instance);
  if (!late) return fault;
  fail(served, lease, timedOut(lease.instance));
  return undefined;
}

function fail(served: Served, lease: Lease, error: KilnError): void {
  const { call, downstream } = served;
  if (!downstream.started && !downstream.gone) downstream.fail(error, call.requestId, call.errorLines(lease));
  served.discard();
}

/** An ordinary request and where its answer goes. */
export class ServedRequest implements Served, ForwardOptions {
  connection: Connection | undefined;
  readOn = false;
  private lease!: Lease;

  constructor(
    readonly call: ServedCall,
    readonly downstream: Downstream,
    readonly body: RequestBody,
  ) {}

  get replayable(): boolean {
    return this.body.replayable;
  }

  async attempt(lease: Lease, limit: TimeLimit): Promise<Outcome | Error> {
    const { access, version } = lease.instance;
    if (access === undefined) return new Error('the instance is gone');
    let connection: Connection;
    try {
      connection = await access.take();
    } catch (error) {
      // No connection came in time, or the instance ended.
      return error as Error;
    }
    if (limit.late) {
      connection.giveBack();
      return new Error('its time is over');
    }
    this.lease = lease;
    this.connection = connection;
    // Two requests must not meet in an instance that runs one at a time. Where it cannot say when its work ends, its answer does.
    this.readOn = version.config.concurrency === 1 && !access.saysWorkEnds;
    if (this.readOn) limit.graceAfterLeaving(WORK_GRACE_MS);
    const { method, path } = this.call;
    limit.exchange = forward({ method, path, headers: introduced(this.call, connection) }, this.downstream, connection.upstream, this);
    const outcome = await limit.exchange.outcome;
    connection.giveBack();
    return outcome;
  }

  discard(): void {
    this.body.discard();
  }

  onStart(): void {
    this.call.begins();
    this.body.accepted();
  }

  onHead(status: number, answered: string[]): string[] {
    return this.call.answerLines(this.lease, status, answered);
  }
}

/** The header lines of a call, on that connection. */
export function introduced({ headers }: ServedCall, connection: WorkTracker): string[] {
  const introduction = connection.introduce();
  return introduction === undefined ? headers : [...headers, ...introduction];
}

/**
 * What ends an exchange from outside: its time, and a caller that does not read. An answer that the caller holds back is the caller's
 * fault: then its connection ends, as if it had left, and nothing is held against the instance. One timer for each request.
 */
export class TimeLimit {
  exchange: Exchange | undefined;
  /** Its time is over. */
  late = false;
  private timer: NodeJS.Timeout | undefined;
  private grace: NodeJS.Timeout | undefined;
  private onLeft: (() => void) | undefined;
  private written = 0;
  private readonly ends: number;

  constructor(
    private readonly downstream: AnswerSide,
    since: number,
    timeout: number,
  ) {
    this.ends = since + timeout;
    this.timer = setTimeout(onTime, Math.min(timeout, STALLED_MS), this);
  }

  /** Where the caller leaves, the exchange may go on for `graceMs`; then it is aborted as `LEFT`. */
  graceAfterLeaving(graceMs: number): void {
    if (this.onLeft !== undefined) return;
    this.onLeft = () => {
      this.grace = setTimeout(() => this.exchange?.abort(LEFT), graceMs);
    };
    this.downstream.onGone(this.onLeft);
  }

  /** ms that the work may still take. */
  get left(): number {
    return this.ends - performance.now();
  }

  clear(): void {
    clearTimeout(this.timer);
    clearTimeout(this.grace);
    if (this.onLeft !== undefined) this.downstream.offGone(this.onLeft);
  }

  /** @internal */
  check(): void {
    const { left, downstream } = this;
    const { heldBack } = downstream;
    // Timers may fire a little early.
    if (left <= 1) {
      this.late = true;
      if (heldBack) downstream.destroy();
      else this.exchange?.abort(TIMEOUT);
      return;
    }
    const written = heldBack ? downstream.bytesTaken : 0;
    if (heldBack && written === this.written) {
      downstream.destroy();
      return;
    }
    this.written = written;
    this.timer = setTimeout(onTime, Math.min(left, STALLED_MS), this);
  }
}

function onTime(limit: TimeLimit): void {
  limit.check();
}
