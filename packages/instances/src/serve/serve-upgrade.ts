import type { Duplex } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { isLocalFault } from '@kiln/forward/client/upstream';
import type { Exchange, Outcome } from '@kiln/forward/exchange/forward';
import { spliceUpgrade, type UpgradingClient } from '@kiln/forward/exchange/upgrade';
import type { Members } from '@kiln/forward/members';
import { problemMessage } from '@kiln/forward/server/problem';
import type { RawConnection } from '../instance/access.js';
import type { Lease } from '../instance/lease.js';
import type { InstancePool } from '../pool/instance-pool.js';
import { MAX_LEASES, notReached, timedOut, whyBroken } from './broken-instance.js';
import type { CallerSide, ServedHead } from './served-request.js';
import { TIMEOUT } from './time-limit.js';
import { type Watched, waitForLease } from './wait-for-lease.js';
import { mayWorkOn, untilWorkEnds } from './work-end.js';

/** A request that asks to switch protocols. */
export interface ServedUpgrade {
  head: ServedHead;
  caller: CallerSide;
  client: UpgradingClient;
  /** Holds its exchange as long as it lasts. */
  running: Members<Exchange>;
}

/**
 * The same for a request that asks to switch protocols. The lease lasts as long as the connection; `timeout` bounds the handshake.
 * @throws KilnError where nothing was executed and nothing answered
 */
export async function serveUpgrade(served: ServedUpgrade, pool: InstancePool): Promise<void> {
  const { head, client } = served;
  for (let leases = 1; ; leases++) {
    const lease = pool.tryLease(head.requestId) ?? (await waitForLease(pool, head.requestId, watched(client.socket)));
    if (lease === undefined) return;
    let fault: Error | undefined;
    try {
      fault = await withLease(served, pool, lease);
    } finally {
      lease.release();
    }
    if (fault === undefined) return;
    if (leases === MAX_LEASES || isLocalFault(fault)) throw notReached(pool.version, fault);
  }
}

/** @returns why nothing of the request reached the instance; undefined where it has ended */
async function withLease({ head, caller, client, running }: ServedUpgrade, pool: InstancePool, lease: Lease): Promise<Error | undefined> {
  const { instance } = lease;
  const sent = { method: head.method, path: head.path, headers: [...head.headers] };
  let connection: RawConnection | undefined;
  const connect = async () => {
    connection = await takeSocket(lease);
    sent.headers.push(...(connection.introduce() ?? []));
    return connection.socket;
  };
  const exchange = spliceUpgrade(client, sent, connect, {
    onHead: (status, headers) => caller.answerLines(lease, status, headers),
    onSwitched: () => clearTimeout(timer),
  });
  const timer = setTimeout(() => exchange.abort(TIMEOUT), pool.version.config.timeout);
  const leave = running.add(exchange);
  const outcome = await exchange.outcome;
  leave();
  clearTimeout(timer);
  if (outcome.kind === 'not_sent') {
    if (!isLocalFault(outcome.error)) pool.condemn(instance);
    return outcome.error;
  }
  if (outcome.kind === 'aborted' && outcome.reason === TIMEOUT) pool.condemn(instance);
  const error = await failure(outcome, lease);
  if (error !== undefined && !client.socket.destroyed) client.socket.end(problemMessage(error, head.requestId, caller.errorLines(lease)));
  if (connection !== undefined) await untilHandlerEnds(outcome, connection, lease, pool);
  return undefined;
}

async function takeSocket(lease: Lease): Promise<RawConnection> {
  const { access } = lease.instance;
  if (access === undefined) throw new Error('the instance is gone');
  return access.takeSocket();
}

/** With a connection of the new protocol its handler may have some last work to do: it has the function's time for that. */
async function untilHandlerEnds(outcome: Outcome, connection: RawConnection, lease: Lease, pool: InstancePool): Promise<void> {
  const { timeout } = pool.version.config;
  const switched = outcome.kind === 'relayed' && outcome.status === 101;
  if (!switched && mayWorkOn(outcome)) await untilWorkEnds(lease, pool, connection, timeout);
  // Where nobody can say, the end of the connection is the end of the work.
  if (switched && lease.instance.access?.saysWorkEnds === true) await untilWorkEnds(lease, pool, connection, timeout);
}

/** What the client is told; undefined where it has its answer, or none can be given any more. */
async function failure(outcome: Outcome, { instance }: Lease): Promise<KilnError | undefined> {
  if (outcome.kind === 'aborted' && !outcome.responseStarted)
    return outcome.reason === TIMEOUT ? timedOut(instance) : new KilnError('unavailable', outcome.reason);
  if (outcome.kind === 'broken' && !outcome.responseStarted) return whyBroken(instance, outcome.error);
  return undefined;
}

function watched(socket: Duplex): Watched {
  return {
    get gone() {
      return socket.destroyed;
    },
    onGone: (listener) => void socket.once('close', listener),
    offGone: (listener) => void socket.off('close', listener),
  };
}
