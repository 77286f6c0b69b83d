import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { REQUEST_ID_PATTERN } from '@kiln/contract/names';
import { HEALTH_PATH } from '@kiln/contract/wire/headers';
import type { RequestBody } from '@kiln/forward/body/request-body';
import type { Exchange } from '@kiln/forward/exchange/forward';
import { Members } from '@kiln/forward/members';
import { bodyOf, HttpDownstream } from '@kiln/forward/server/http-server';
import type { InstancePool } from '@kiln/instances/pool/instance-pool';
import type { Pools } from '@kiln/instances/pool/pools';
import type { FunctionVersion } from '@kiln/instances/port/container-driver';
import { ServedRequest, serve } from '@kiln/instances/serve/serve';
import { ServedUpgrade, SocketSide } from '@kiln/instances/serve/served-upgrade';
import type { NodeLifecycle } from '../node/lifecycle.js';
import { answerHealth, isHealthQuestion } from './health.js';
import { CallerCheck, RouterCall } from './router-call.js';

/** Versions as this node knows them. */
interface KnownVersions {
  /** From memory, else looked up once. @throws KilnError where there is no such version, or nobody can say */
  find(name: string, version: number): Promise<FunctionVersion>;
}

export interface NodeHandlerParts {
  secret: string;
  /** Where it takes no work everything is refused; another node may take it at once. */
  lifecycle: Pick<NodeLifecycle, 'takesWork'>;
  pools: Pools;
  versions: KnownVersions;
  onFault(error: unknown): void;
}

/** The way of a request on a node, top to bottom: who asks, which version, and then the version's pool serves it. */
export class NodeInvokeHandler {
  private readonly switched = new Members<Exchange>();
  private readonly check: CallerCheck;

  constructor(private readonly parts: NodeHandlerParts) {
    this.check = new CallerCheck(parts.secret);
  }

  readonly request = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url === HEALTH_PATH && isHealthQuestion(request)) {
      answerHealth(request, response, this.parts.pools.nodeId, this.parts.lifecycle.takesWork);
    } else {
      this.run(request, response).catch(this.parts.onFault);
    }
  };

  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // Without a listener an error of a socket would end the process.
    socket.on('error', () => socket.destroy());
    this.runUpgrade(request, socket, head).catch((error: unknown) => {
      socket.destroy();
      this.parts.onFault(error);
    });
  };

  /** At the end of a drain: connections that last for ever would never end by themselves. */
  closeSwitched(): void {
    for (const exchange of this.switched) exchange.abort('the node is leaving');
  }

  private async run(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const downstream = new HttpDownstream(response);
    const call = new RouterCall(request, this.parts.pools, downstream);
    response.sendDate = false;
    let body: RequestBody | undefined;
    try {
      this.admit(call);
      const found = this.poolOf(call);
      if (found instanceof Promise) call.waits();
      const pool = found instanceof Promise ? await found : found;
      body = bodyOf(request, pool.version.config.maxBody);
      await serve(new ServedRequest(call, downstream, body), pool);
    } catch (error) {
      if (!(error instanceof KilnError)) {
        response.destroy();
        throw error;
      }
      // Whoever is not of the cluster learns nothing, and its connection ends.
      if (error.code === 'unauthorized') response.shouldKeepAlive = false;
      if (response.destroyed) return;
      downstream.fail(error, call.requestId, linesBeside(error, call));
      if (!request.complete) (body ?? bodyOf(request, 0)).discard();
    }
  }

  private async runUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const call = new RouterCall(request, this.parts.pools, undefined);
    try {
      this.admit(call);
      const pool = await this.poolOf(call);
      await serve(new ServedUpgrade(call, { request, socket, head }, this.switched), pool);
    } catch (error) {
      if (!(error instanceof KilnError)) throw error;
      new SocketSide(socket).fail(error, call.requestId, linesBeside(error, call));
    }
  }

  /** @throws KilnError; nothing was executed */
  private admit({ secret, requestId }: RouterCall): void {
    const { lifecycle, pools } = this.parts;
    if (!this.check.accepts(secret)) throw new KilnError('unauthorized', 'this is not one of the cluster’s routers');
    if (!REQUEST_ID_PATTERN.test(requestId)) throw new KilnError('bad_request', 'the router gave no request id');
    if (!lifecycle.takesWork) throw new KilnError('unavailable', `node ${pools.nodeId} is draining`);
  }

  /** Without waiting for a version that has a pool here. @throws KilnError; nothing was executed */
  private poolOf({ function: name, version }: RouterCall): InstancePool | Promise<InstancePool> {
    const { pools, versions } = this.parts;
    return pools.find(name, version) ?? versions.find(name, version).then((found) => pools.of(found));
  }
}

/** Nothing was executed. */
function linesBeside(error: KilnError, call: RouterCall): string[] {
  return error.code === 'unauthorized' ? [] : call.refusalLines();
}
