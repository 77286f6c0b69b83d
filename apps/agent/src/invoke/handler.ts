import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import type { Exchange } from '@kiln/forward/exchange/forward';
import { RequestBody } from '@kiln/forward/exchange/request-body';
import { Members } from '@kiln/forward/members';
import { HttpDownstream } from '@kiln/forward/server/downstream';
import { problemMessage, writeProblem } from '@kiln/forward/server/problem';
import type { Pools } from '@kiln/instances/pool/pools';
import { serveRequest } from '@kiln/instances/serve/serve-request';
import { serveUpgrade } from '@kiln/instances/serve/serve-upgrade';
import type { Admit } from './admit.js';
import { refusalHeaders } from './answer-head.js';
import { type Incoming, readIncoming } from './incoming.js';
import { ToRouter } from './to-router.js';

export interface NodeHandlerParts {
  pools: Pools;
  admit: Admit;
  onFault(error: unknown): void;
}

/** The way of a request on a node, top to bottom: who asks, which version, and then the version's pool serves it. */
export class NodeInvokeHandler {
  private readonly switched = new Members<Exchange>();

  constructor(private readonly parts: NodeHandlerParts) {}

  readonly request = (request: IncomingMessage, response: ServerResponse): void => {
    this.run(request, response).catch(this.parts.onFault);
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
    const { pools, admit } = this.parts;
    const incoming = readIncoming(request.rawHeaders);
    response.sendDate = false;
    let body: RequestBody | undefined;
    try {
      admit.caller(incoming);
      const downstream = new HttpDownstream(response);
      const caller = new ToRouter(pools, incoming.notifyLease, downstream);
      const found = admit.pool(incoming);
      if (found instanceof Promise) caller.waits();
      const pool = found instanceof Promise ? await found : found;
      body = RequestBody.of(request, pool.version.config.maxBody);
      await serveRequest({ head: headOf(request, incoming), caller, downstream, body }, pool);
    } catch (error) {
      this.refuse(request, response, incoming, body, error);
    }
  }

  private async runUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { pools, admit } = this.parts;
    const incoming = readIncoming(request.rawHeaders);
    try {
      admit.caller(incoming);
      const pool = await admit.pool(incoming);
      const caller = new ToRouter(pools, false, undefined);
      const client = { request, socket, head };
      await serveUpgrade({ head: headOf(request, incoming), caller, client, running: this.switched }, pool);
    } catch (error) {
      if (!(error instanceof KilnError)) throw error;
      const extra = error.code === 'unauthorized' ? [] : refusalHeaders(pools.nodeId, pools.load);
      if (!socket.destroyed) socket.end(problemMessage(error, incoming.requestId, extra));
    }
  }

  /** Nothing was executed. */
  private refuse(
    request: IncomingMessage,
    response: ServerResponse,
    incoming: Incoming,
    body: RequestBody | undefined,
    error: unknown,
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

function headOf(request: IncomingMessage, { requestId, kept }: Incoming) {
  return { requestId, method: request.method!, path: request.url!, headers: kept };
}
