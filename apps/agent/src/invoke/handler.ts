import type { IncomingMessage, ServerResponse } from 'node:http';
import { KilnError } from '@kiln/contract/errors';
import { KINDS } from '@kiln/contract/kinds';
import { WAITING } from '@kiln/contract/wire/headers';
import { isLocalFault } from '@kiln/forward/client/upstream';
import { type Exchange, forward, type Outcome } from '@kiln/forward/exchange/forward';
import { RequestBody } from '@kiln/forward/exchange/request-body';
import { writeProblem } from '@kiln/forward/server/problem';
import type { Connection } from '@kiln/instances/instance/access';
import type { Lease } from '@kiln/instances/instance/lease';
import type { InstancePool } from '@kiln/instances/pool/instance-pool';
import type { Pools } from '@kiln/instances/pool/pools';
import type { Admit } from './admit.js';
import { functionHeaders, leaseHeaders, refusalHeaders } from './answer-head.js';
import { MAX_LEASES, notReached, timedOut, whyBroken } from './broken-instance.js';
import { type Incoming, readIncoming } from './incoming.js';
import { LEFT, TIMEOUT, TimeLimit } from './time-limit.js';
import { waitForLease } from './wait-for-lease.js';
import { mayWorkOn, untilWorkEnds, WORK_GRACE_MS } from './work-end.js';

/** Connections that may turn out closed before a byte was sent, under one request. */
const MAX_UNSENT = 3;

export interface NodeHandlerParts {
  pools: Pools;
  admit: Admit;
  onFault(error: unknown): void;
}

/** A request that holds a lease. */
interface Running {
  incoming: Incoming;
  request: IncomingMessage;
  response: ServerResponse;
  body: RequestBody;
  lease: Lease;
}

/** The way of a request on a node, top to bottom: who asks, which version, lease, forward, release. */
export class NodeInvokeHandler {
  constructor(private readonly parts: NodeHandlerParts) {}

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    this.run(request, response).catch(this.parts.onFault);
  };

  private async run(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const incoming = readIncoming(request.rawHeaders);
    response.sendDate = false;
    let body: RequestBody | undefined;
    try {
      this.parts.admit.caller(incoming);
      const found = this.parts.admit.pool(incoming);
      if (found instanceof Promise) {
        response.writeInformation(WAITING);
        incoming.waited = true;
      }
      const pool = found instanceof Promise ? await found : found;
      body = RequestBody.of(request, pool.version.config.maxBody);
      for (let leases = 1; ; leases++) {
        const lease = pool.tryLease(incoming.requestId) ?? (await this.wait(incoming, pool, response));
        if (lease === undefined) return;
        let fault: Error | undefined;
        try {
          fault = await this.withLease({ incoming, request, response, body, lease }, pool);
        } finally {
          lease.release();
        }
        if (fault === undefined) return;
        // Nothing of it reached that instance: another may have it.
        if (leases === MAX_LEASES || !body.replayable || isLocalFault(fault)) throw notReached(pool.version, fault);
      }
    } catch (error) {
      this.refuse(request, response, incoming, body, error as KilnError);
    }
  }

  private wait(incoming: Incoming, pool: InstancePool, response: ServerResponse): Promise<Lease | undefined> {
    if (!incoming.waited) response.writeInformation(WAITING);
    incoming.waited = true;
    return waitForLease(pool, incoming.requestId, response);
  }

  /** `timeout` counts from here. @returns why nothing of the request reached the instance; undefined where it has ended */
  private async withLease(running: Running, pool: InstancePool): Promise<Error | undefined> {
    const { response, body, lease } = running;
    const limit = new TimeLimit(response, lease.since, pool.version.config.timeout);
    try {
      for (let unsent = 0; ; unsent++) {
        const connection = await takeConnection(lease, limit);
        if (connection instanceof Error) return this.unreached(running, pool, connection, limit.late);
        limit.exchange = this.send(running, connection, limit);
        const outcome = await limit.exchange.outcome;
        connection.giveBack();
        if (outcome.kind !== 'not_sent') {
          await this.finish(running, pool, outcome);
          if (mayWorkOn(outcome)) await untilWorkEnds(lease, pool, connection, limit.left);
          return undefined;
        }
        if (unsent === MAX_UNSENT || !body.replayable || limit.late) return this.unreached(running, pool, outcome.error, limit.late);
      }
    } finally {
      limit.clear();
    }
  }

  private send({ incoming, request, response, body, lease }: Running, connection: Connection, limit: TimeLimit): Exchange {
    const { nodeId } = this.parts.pools;
    const { version, access } = lease.instance;
    const isRunner = KINDS[version.kind].reachedBy === 'socket';
    const introduction = connection.introduce();
    const headers = introduction === undefined ? incoming.kept : [...incoming.kept, ...introduction];
    // Two requests must not meet in an instance that runs one at a time. Where it cannot say when its work ends, its answer does.
    const readOn = version.config.concurrency === 1 && access?.saysWorkEnds === false;
    if (readOn) limit.graceAfterLeaving(WORK_GRACE_MS);
    return forward({ method: request.method!, path: request.url!, headers }, response, connection.upstream, {
      body,
      readOn,
      // From here on it may have run: until now a router that still has all of it may take it elsewhere.
      onStart: () => {
        if (incoming.notifyLease || incoming.waited) response.writeProcessing();
        body.accepted();
      },
      onHead: (status, answered) => {
        const kept = functionHeaders(answered, isRunner && status === 500);
        kept.push(...leaseHeaders(nodeId, this.parts.pools.load, lease, performance.now()));
        return kept;
      },
    });
  }

  private async finish(running: Running, pool: InstancePool, outcome: Exclude<Outcome, { kind: 'not_sent' }>): Promise<void> {
    const { body, lease } = running;
    const { instance } = lease;
    switch (outcome.kind) {
      case 'relayed':
      case 'withheld':
      case 'client_gone':
        return;
      case 'body_too_large':
        if (!outcome.responseStarted)
          this.fail(running, new KilnError('payload_too_large', 'the request body is larger than the function’s maxBody'));
        return;
      case 'aborted':
        if (outcome.reason === TIMEOUT || outcome.reason === LEFT) pool.condemn(instance);
        if (!outcome.responseStarted)
          this.fail(running, outcome.reason === TIMEOUT ? timedOut(instance) : new KilnError('bad_request', outcome.reason));
        return;
      case 'broken':
        body.discard();
        if (outcome.responseStarted) return;
        this.fail(running, await whyBroken(instance, outcome.error));
    }
  }

  /** It holds a lease and the instance takes no request: the instance is not used again, unless the fault is this machine's. */
  private unreached(running: Running, pool: InstancePool, fault: Error, late: boolean): Error | undefined {
    const { instance } = running.lease;
    if (!isLocalFault(fault)) pool.condemn(instance);
    if (!late) return fault;
    this.fail(running, timedOut(instance));
    return undefined;
  }

  private fail({ request, response, incoming, lease, body }: Running, error: KilnError): void {
    const { pools } = this.parts;
    if (!response.headersSent && !response.destroyed) {
      writeProblem(response, error, incoming.requestId, leaseHeaders(pools.nodeId, pools.load, lease, performance.now()));
    }
    if (!request.complete) body.discard();
  }

  /** Nothing was executed. */
  private refuse(
    request: IncomingMessage,
    response: ServerResponse,
    incoming: Incoming,
    body: RequestBody | undefined,
    error: KilnError,
  ): void {
    if (!(error instanceof KilnError)) {
      this.parts.onFault(error);
      response.destroy();
      return;
    }
    if (response.destroyed) return;
    const { pools } = this.parts;
    const known = error.code !== 'unauthorized';
    // Whoever is not of the cluster learns nothing, and its connection ends.
    if (!known) response.shouldKeepAlive = false;
    writeProblem(response, error, incoming.requestId, known ? refusalHeaders(pools.nodeId, pools.load) : []);
    if (!request.complete) (body ?? RequestBody.of(request, 0)).discard();
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
