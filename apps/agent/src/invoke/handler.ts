import type { IncomingMessage, ServerResponse } from 'node:http';
import { KilnError } from '@kiln/contract/errors';
import { dialsIn } from '@kiln/contract/function-config';
import { type Exchange, forward, type Outcome } from '@kiln/forward/forward';
import { writeProblem } from '@kiln/forward/problem';
import { RequestBody } from '@kiln/forward/request-body';
import type { Connection } from '../pool/access.js';
import type { InstancePool } from '../pool/instance-pool.js';
import type { Lease } from '../pool/lease.js';
import type { Pools } from '../pool/pools.js';
import type { Admit } from './admit.js';
import { functionHeaders, leaseHeaders, refusalHeaders } from './answer-head.js';
import { timedOut, whyBroken } from './broken-instance.js';
import { type Incoming, readIncoming } from './incoming.js';
import { waitForLease } from './wait-for-lease.js';

const TIMEOUT = 'timeout';
/** Connections that may turn out closed before a byte was sent, under one request. */
const MAX_UNSENT = 3;

export interface HandlerParts {
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
export class InvokeHandler {
  constructor(private readonly parts: HandlerParts) {}

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    this.run(request, response).catch(this.parts.onFault);
  };

  private async run(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const incoming = readIncoming(request.rawHeaders);
    response.sendDate = false;
    let pool: InstancePool;
    let lease: Lease | undefined;
    try {
      this.parts.admit.caller(incoming);
      const found = this.parts.admit.pool(incoming);
      pool = found instanceof Promise ? await found : found;
      lease = pool.tryLease(incoming.requestId) ?? (await waitForLease(pool, incoming.requestId, response));
    } catch (error) {
      this.refuse(request, response, incoming, error as KilnError);
      return;
    }
    if (lease === undefined) return;
    try {
      const body = RequestBody.of(request, pool.version.config.maxBody);
      await this.withLease({ incoming, request, response, body, lease }, pool);
    } finally {
      lease.release();
    }
  }

  /** `timeout` counts from here. */
  private async withLease(running: Running, pool: InstancePool): Promise<void> {
    const { incoming, response, body, lease } = running;
    if (incoming.notifyLease) response.writeProcessing();
    let exchange: Exchange | undefined;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      exchange?.abort(TIMEOUT);
    }, pool.version.config.timeout);
    try {
      body.accepted();
      for (let unsent = 0; ; unsent++) {
        const connection = await takeConnection(lease, () => late);
        if (connection === undefined) return this.unreachable(running, pool, late);
        exchange = this.send(running, connection);
        const outcome = await exchange.outcome;
        connection.giveBack();
        if (outcome.kind === 'not_sent' && body.replayable && unsent < MAX_UNSENT && !late) continue;
        return await this.finish(running, pool, outcome);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  private send({ incoming, request, response, body, lease }: Running, connection: Connection): Exchange {
    const { nodeId } = this.parts.pools;
    const isRunner = dialsIn(lease.instance.version.kind);
    return forward({ method: request.method!, path: request.url!, headers: incoming.kept }, response, connection.upstream, {
      body,
      onHead: (status, headers) => {
        const kept = functionHeaders(headers, isRunner && status === 500);
        kept.push(...leaseHeaders(nodeId, this.parts.pools.load, lease, performance.now()));
        return kept;
      },
    });
  }

  private async finish(running: Running, pool: InstancePool, outcome: Outcome): Promise<void> {
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
        if (outcome.reason === TIMEOUT) pool.condemn(instance);
        if (!outcome.responseStarted)
          this.fail(running, outcome.reason === TIMEOUT ? timedOut(instance) : new KilnError('bad_request', outcome.reason));
        return;
      case 'not_sent':
        this.unreachable(running, pool, false);
        return;
      case 'broken':
        body.discard();
        if (outcome.responseStarted) return;
        this.fail(running, await whyBroken(instance, outcome.error));
    }
  }

  /** It holds a lease and the instance takes no request: the instance is not used again. */
  private unreachable(running: Running, pool: InstancePool, late: boolean): void {
    const { instance } = running.lease;
    pool.condemn(instance);
    this.fail(running, late ? timedOut(instance) : new KilnError('function_crashed', 'the instance accepts no connection any more'));
  }

  private fail({ request, response, incoming, lease, body }: Running, error: KilnError): void {
    const { pools } = this.parts;
    if (!response.headersSent && !response.destroyed) {
      writeProblem(response, error, incoming.requestId, leaseHeaders(pools.nodeId, pools.load, lease, performance.now()));
    }
    if (!request.complete) body.discard();
  }

  private refuse(request: IncomingMessage, response: ServerResponse, incoming: Incoming, error: KilnError): void {
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
    if (!request.complete) RequestBody.of(request, Number.MAX_SAFE_INTEGER).discard();
  }
}

async function takeConnection(lease: Lease, late: () => boolean): Promise<Connection | undefined> {
  try {
    const connection = await lease.instance.access?.take();
    if (!late()) return connection;
    connection?.giveBack();
    return undefined;
  } catch {
    // No connection came in time, or the instance ended: `unreachable` tells the caller.
    return undefined;
  }
}
