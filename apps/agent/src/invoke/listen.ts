import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connectionBudget } from '@kiln/forward/server/descriptors';
import { limitConnections, lingerAtClose } from '@kiln/forward/server/http-server';
import type { NodeLifecycle } from '../node/lifecycle.js';
import { type NodeHandlerParts, NodeInvokeHandler } from './handler.js';

const HEADERS_MS = 10_000;
/** Above the 30 s after which a router closes an idle connection: the client side must be the one that closes. */
const KEEP_ALIVE_MS = 75_000;
const CHECK_MS = 2_000;
/** What a router lets in, and what it adds. */
const MAX_HEADER_BYTES = 64 * 1024;
const POLL_MS = 20;
/** By then every router has heard that this node takes nothing more: by an event at once, by its next look at the store else. */
const HEARD_MS = 1000;
/** For refusals that are still being written when the door closes. */
const CLOSE_MS = 500;

export interface ListenOptions extends NodeHandlerParts {
  lifecycle: NodeLifecycle;
  host: string;
  port: number;
}

/** The door for routers. */
export class NodeListener {
  private readonly handler: NodeInvokeHandler;
  private readonly server = http.createServer({
    requestTimeout: 0,
    headersTimeout: HEADERS_MS,
    connectionsCheckingInterval: CHECK_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    requireHostHeader: false,
    noDelay: true,
  });

  constructor(private readonly options: ListenOptions) {
    const { server } = this;
    this.handler = new NodeInvokeHandler(options);
    limitConnections(server, connectionBudget().data);
    lingerAtClose(server);
    server.on('request', this.handler.request).on('upgrade', this.handler.upgrade);
    server.on('clientError', (_error, socket) => socket.destroy());
  }

  async listen(): Promise<{ port: number }> {
    const { host, port } = this.options;
    await once(this.server.listen({ host, port }), 'listening');
    return this.server.address() as AddressInfo;
  }

  /** Lets what runs end, for the node takes nothing new; after `timeoutMs` it is cut off. Ends early where the drain is taken back. */
  async finish(timeoutMs: number, takenBack: AbortSignal): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (this.options.pools.activeLeases > 0 && performance.now() < deadline && !takenBack.aborted) await delay(POLL_MS);
    if (!takenBack.aborted) this.handler.closeSwitched();
  }

  /** Refuses on until no router sends any more, then closes. */
  async close(): Promise<void> {
    const { server } = this;
    // A router may be writing its next request at this very moment: it must get a refusal, which it may send elsewhere, no reset.
    while ((await connections(server)) > 0 && this.options.lifecycle.refusesFor < HEARD_MS) await delay(POLL_MS);
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.race([closed, delay(CLOSE_MS)]);
    server.closeAllConnections();
  }
}

function connections(server: http.Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
}
