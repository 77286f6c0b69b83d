import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { isLocalFault } from '@kiln/forward/client/upstream';
import type { Exchange, Outcome } from '@kiln/forward/exchange/forward';
import { spliceUpgrade, type UpgradingClient } from '@kiln/forward/exchange/upgrade';
import { Members } from '@kiln/forward/members';
import { problemMessage } from '@kiln/forward/server/problem';
import type { RawConnection } from '@kiln/instances/instance/access';
import type { Lease } from '@kiln/instances/instance/lease';
import type { InstancePool } from '@kiln/instances/pool/instance-pool';
import { functionHeaders, leaseHeaders, refusalHeaders } from './answer-head.js';
import { MAX_LEASES, notReached, timedOut, whyBroken } from './broken-instance.js';
import type { NodeHandlerParts } from './handler.js';
import { type Incoming, readIncoming } from './incoming.js';
import { waitForLease } from './wait-for-lease.js';
import { mayWorkOn, untilWorkEnds } from './work-end.js';

const TIMEOUT = 'timeout';

/** The way of a request that asks to switch protocols. The lease lasts as long as the connection; `timeout` bounds the handshake. */
export class UpgradeHandler {
  private readonly open = new Members<Exchange>();

  constructor(private readonly parts: NodeHandlerParts) {}

  readonly handle = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // Without a listener an error of a socket would end the process.
    socket.on('error', () => socket.destroy());
    this.run({ request, socket, head }).catch((error: unknown) => {
      socket.destroy();
      this.parts.onFault(error);
    });
  };

  /** At the end of a drain: connections that last for ever would never end by themselves. */
  closeAll(): void {
    for (const exchange of this.open) exchange.abort('the node is leaving');
  }

  private async run(client: UpgradingClient): Promise<void> {
    const { request, socket } = client;
    const incoming = readIncoming(request.rawHeaders);
    const { admit, pools } = this.parts;
    try {
      admit.caller(incoming);
      const pool = await admit.pool(incoming);
      for (let leases = 1; ; leases++) {
        const lease = pool.tryLease(incoming.requestId) ?? (await waitForLease(pool, incoming.requestId, socket));
        if (lease === undefined) return;
        let fault: Error | undefined;
        try {
          fault = await this.withLease(client, incoming, pool, lease);
        } finally {
          lease.release();
        }
        if (fault === undefined) return;
        if (leases === MAX_LEASES || isLocalFault(fault)) throw notReached(pool.version, fault);
      }
    } catch (error) {
      if (!(error instanceof KilnError)) throw error;
      const extra = error.code === 'unauthorized' ? [] : refusalHeaders(pools.nodeId, pools.load);
      if (!socket.destroyed) socket.end(problemMessage(error, incoming.requestId, extra));
    }
  }

  /** @returns why nothing of the request reached the instance; undefined where it has ended */
  private async withLease(client: UpgradingClient, incoming: Incoming, pool: InstancePool, lease: Lease): Promise<Error | undefined> {
    const { request } = client;
    const { instance } = lease;
    const forwarded = { method: request.method!, path: request.url!, headers: [...incoming.kept] };
    let carrier: RawConnection | undefined;
    const connect = async () => {
      carrier = await takeSocket(lease);
      forwarded.headers.push(...(carrier.introduce() ?? []));
      return carrier.socket;
    };
    const exchange = spliceUpgrade(client, forwarded, connect, {
      onHead: (_status, headers) => [...functionHeaders(headers, false), ...this.said(lease)],
      onSwitched: () => clearTimeout(timer),
    });
    const timer = setTimeout(() => exchange.abort(TIMEOUT), pool.version.config.timeout);
    const leave = this.open.add(exchange);
    const outcome = await exchange.outcome;
    leave();
    clearTimeout(timer);
    if (outcome.kind === 'not_sent') {
      if (!isLocalFault(outcome.error)) pool.condemn(instance);
      return outcome.error;
    }
    if (outcome.kind === 'aborted' && outcome.reason === TIMEOUT) pool.condemn(instance);
    const error = await failure(outcome, lease);
    if (error !== undefined && !client.socket.destroyed) client.socket.end(problemMessage(error, incoming.requestId, this.said(lease)));
    if (carrier !== undefined) await untilHandlerEnds(outcome, carrier, lease, pool);
    return undefined;
  }

  private said(lease: Lease): string[] {
    const { pools } = this.parts;
    return leaseHeaders(pools.nodeId, pools.load, lease, performance.now());
  }
}

async function takeSocket(lease: Lease) {
  const { access } = lease.instance;
  if (access === undefined) throw new Error('the instance is gone');
  return access.takeSocket();
}

/** With a connection of the new protocol its handler may have some last work to do: it has the function's time for that. */
async function untilHandlerEnds(outcome: Outcome, carrier: RawConnection, lease: Lease, pool: InstancePool): Promise<void> {
  const { timeout } = pool.version.config;
  const switched = outcome.kind === 'relayed' && outcome.status === 101;
  if (!switched && mayWorkOn(outcome)) await untilWorkEnds(lease, pool, carrier, timeout);
  // Where nobody can say, the end of the connection is the end of the work.
  if (switched && lease.instance.access?.saysWorkEnds === true) await untilWorkEnds(lease, pool, carrier, timeout);
}

/** What the client is told; undefined where it has its answer, or none can be given any more. */
async function failure(outcome: Outcome, { instance }: Lease): Promise<KilnError | undefined> {
  if (outcome.kind === 'aborted' && !outcome.responseStarted)
    return outcome.reason === TIMEOUT ? timedOut(instance) : new KilnError('unavailable', outcome.reason);
  if (outcome.kind === 'broken' && !outcome.responseStarted) return whyBroken(instance, outcome.error);
  return undefined;
}
