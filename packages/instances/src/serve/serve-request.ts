import { KilnError } from '@kiln/contract/errors';
import { isLocalFault } from '@kiln/forward/client/upstream';
import { type Exchange, forward, type Outcome } from '@kiln/forward/exchange/forward';
import type { Connection } from '../instance/access.js';
import type { Lease } from '../instance/lease.js';
import type { InstancePool } from '../pool/instance-pool.js';
import { MAX_LEASES, notReached, timedOut, whyBroken } from './broken-instance.js';
import type { ServedRequest } from './served-request.js';
import { LEFT, TIMEOUT, TimeLimit } from './time-limit.js';
import { waitForLease } from './wait-for-lease.js';
import { mayWorkOn, untilWorkEnds, WORK_GRACE_MS } from './work-end.js';

/** Connections that may turn out closed before a byte was sent, under one request. */
const MAX_UNSENT = 3;

/**
 * The way of a request through a pool, top to bottom: lease, forward, release. Resolves when its work has ended, or its caller left
 * before it had a lease.
 * @throws KilnError where nothing was executed and nothing answered
 */
export async function serveRequest(served: ServedRequest, pool: InstancePool): Promise<void> {
  const { head, caller, downstream, body } = served;
  for (let leases = 1; ; leases++) {
    let lease = pool.tryLease(head.requestId);
    if (lease === undefined) {
      caller.waits();
      lease = await waitForLease(pool, head.requestId, downstream);
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
    if (leases === MAX_LEASES || !body.replayable || isLocalFault(fault)) throw notReached(pool.version, fault);
  }
}

/** `timeout` counts from here. @returns why nothing of the request reached the instance; undefined where it has ended */
async function withLease(served: ServedRequest, pool: InstancePool, lease: Lease): Promise<Error | undefined> {
  const { downstream, body } = served;
  const limit = new TimeLimit(downstream, lease.since, pool.version.config.timeout);
  try {
    for (let unsent = 0; ; unsent++) {
      const connection = await takeConnection(lease, limit);
      if (connection instanceof Error) return unreached(served, pool, lease, connection, limit.late);
      limit.exchange = send(served, lease, connection, limit);
      const outcome = await limit.exchange.outcome;
      connection.giveBack();
      if (outcome.kind !== 'not_sent') {
        await finish(served, pool, lease, outcome);
        if (mayWorkOn(outcome)) await untilWorkEnds(lease, pool, connection, limit.left);
        return undefined;
      }
      if (unsent === MAX_UNSENT || !body.replayable || limit.late) return unreached(served, pool, lease, outcome.error, limit.late);
    }
  } finally {
    limit.clear();
  }
}

async function takeConnection(lease: Lease, limit: TimeLimit): Promise<Connection | Error> {
  const { access } = lease.instance;
  if (access === undefined) return new Error('the instance is gone');
  try {
    const connection = await access.take();
    if (!limit.late) return connection;
    connection.giveBack();
    return new Error('its time is over');
  } catch (error) {
    // No connection came in time, or the instance ended.
    return error as Error;
  }
}

function send({ head, caller, downstream, body }: ServedRequest, lease: Lease, connection: Connection, limit: TimeLimit): Exchange {
  const { version, access } = lease.instance;
  const introduction = connection.introduce();
  const headers = introduction === undefined ? head.headers : [...head.headers, ...introduction];
  // Two requests must not meet in an instance that runs one at a time. Where it cannot say when its work ends, its answer does.
  const readOn = version.config.concurrency === 1 && access?.saysWorkEnds === false;
  if (readOn) limit.graceAfterLeaving(WORK_GRACE_MS);
  return forward({ method: head.method, path: head.path, headers }, downstream, connection.upstream, {
    body,
    readOn,
    onStart: () => {
      caller.begins();
      body.accepted();
    },
    onHead: (status, answered) => caller.answerLines(lease, status, answered),
  });
}

async function finish(
  served: ServedRequest,
  pool: InstancePool,
  lease: Lease,
  outcome: Exclude<Outcome, { kind: 'not_sent' }>,
): Promise<void> {
  const { instance } = lease;
  switch (outcome.kind) {
    case 'relayed':
    case 'withheld':
    case 'client_gone':
      return;
    case 'body_too_large':
      if (!outcome.responseStarted)
        fail(served, lease, new KilnError('payload_too_large', 'the request body is larger than the function’s maxBody'));
      return;
    case 'aborted':
      if (outcome.reason === TIMEOUT || outcome.reason === LEFT) pool.condemn(instance);
      if (!outcome.responseStarted)
        fail(served, lease, outcome.reason === TIMEOUT ? timedOut(instance) : new KilnError('bad_request', outcome.reason));
      return;
    case 'broken':
      served.body.discard();
      if (outcome.responseStarted) return;
      fail(served, lease, await whyBroken(instance, outcome.error));
  }
}

/** It holds a lease and the instance takes no request: the instance is not used again, unless the fault is this machine's. */
function unreached(served: ServedRequest, pool: InstancePool, lease: Lease, fault: Error, late: boolean): Error | undefined {
  if (!isLocalFault(fault)) pool.condemn(lease.instance);
  if (!late) return fault;
  fail(served, lease, timedOut(lease.instance));
  return undefined;
}

function fail({ head, caller, downstream, body }: ServedRequest, lease: Lease, error: KilnError): void {
  if (!downstream.started && !downstream.gone) downstream.fail(error, head.requestId, caller.errorLines(lease));
  body.discard();
}
