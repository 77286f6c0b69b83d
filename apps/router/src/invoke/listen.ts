import http, { type ServerResponse } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { connectionBudget } from '@kiln/forward/server/descriptors';
import { answerHalfClosed, limitConnections, lingerAtClose } from '@kiln/forward/server/http-server';
import type { RouterConfig } from '../config.js';
import type { NodeTable } from '../placement/node-table.js';
import { NodeWatch, type WatchLog } from './node-watch.js';
import { Pipeline, type PipelineParts } from './pipeline.js';
import { refuseConnect, refuseExpectation, refuseUnparsed } from './refuse-socket.js';
import { MAX_HEADER_BYTES, Peers } from './request-head.js';

interface ListenerParts extends Pick<PipelineParts, 'routes' | 'refreshOnMiss' | 'refreshNodes' | 'keys' | 'observers'> {
  nodes: NodeTable;
  config: Pick<RouterConfig, 'bind' | 'httpPort' | 'domain' | 'callsByPath' | 'clusterSecret' | 'trustedProxies' | 'placementHeaders'>;
  log: WatchLog & { error(details: object, message: string): void };
  /** Whether load balancers should send requests. */
  isReady(): boolean;
}

const HEAD_TIMEOUT_MS = 10_000;
// Longer than load balancers and our own pools keep an idle connection: the client's side must be the one that closes.
const KEEP_ALIVE_MS = 75_000;
const CHECK_MS = 1000;
/** While draining, idle connections may still bring one request each for so long. */
const LINGER_MS = 300;
const DRAIN_TICK_MS = 50;

/** The door for calls of functions. */
export class DataListener {
  private readonly watch: NodeWatch;
  private readonly pipeline: Pipeline;
  private readonly server: http.Server;

  constructor(private readonly parts: ListenerParts) {
    const { config, routes, refreshOnMiss, nodes, refreshNodes, keys, observers, log } = parts;
    this.watch = new NodeWatch(nodes, log);
    this.pipeline = new Pipeline({
      forms: { domain: config.domain, byPath: config.callsByPath },
      secret: config.clusterSecret,
      placementHeaders: config.placementHeaders,
      peers: new Peers(config.trustedProxies),
      routes,
      refreshOnMiss,
      nodes,
      refreshNodes,
      doubt: (node) => this.watch.doubt(node),
      keys,
      isReady: () => this.server.listening && parts.isReady(),
      observers,
      onFault: (error, requestId) => log.error({ err: error, requestId }, 'request failed'),
    });
    this.server = this.createServer();
  }

  listen(): Promise<{ port: number }> {
    const { bind, httpPort } = this.parts.config;
    this.watch.start();
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ host: bind, port: httpPort, backlog: 4096 }, () => {
        this.server.off('error', reject);
        resolve({ port: (this.server.address() as AddressInfo).port });
      });
    });
  }

  /** Takes no new connections, finishes what runs, and ends by force what is left after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    if (!this.server.listening) return;
    const { request, expecting } = this.pipeline;
    this.server.off('request', request).on('request', endAfterAnswer).on('request', request);
    this.server.off('checkContinue', expecting).on('checkContinue', endAfterAnswer).on('checkContinue', expecting);
    const deadline = performance.now() + timeoutMs;
    const lingerUntil = performance.now() + Math.min(LINGER_MS, timeoutMs);
    // http.Server's own close() also cuts idle connections, on which a request may be arriving at this moment.
    const closed = new Promise<void>((resolve) => net.Server.prototype.close.call(this.server, () => resolve()));
    const tick = setInterval(() => {
      const now = performance.now();
      if (now >= deadline) this.close();
      else if (now >= lingerUntil) this.server.closeIdleConnections();
    }, DRAIN_TICK_MS);
    await closed;
    clearInterval(tick);
    this.close();
  }

  close(): void {
    for (const exchange of this.pipeline.upgrades) exchange.abort('the router is stopping');
    this.server.close();
    this.server.closeAllConnections();
    this.watch.stop();
    this.parts.nodes.destroy();
  }

  private createServer(): http.Server {
    const server = http.createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEAD_TIMEOUT_MS,
      // Bodies have bounds of their own: an upload may take as long as its function lets it.
      requestTimeout: 0,
      connectionsCheckingInterval: CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // A missing or second Host is refused by us, with a problem that says so.
      requireHostHeader: false,
      noDelay: true,
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
    });
    server.timeout = 0;
    // Node would silently cut off the lines beyond its limit; ours are counted and refused.
    server.maxHeadersCount = 0;
    lingerAtClose(server);
    answerHalfClosed(server);
    const { answering } = limitConnections(server, connectionBudget().data);
    server.on('request', this.pipeline.request);
    server.on('checkContinue', this.pipeline.expecting);
    server.on('checkExpectation', (_request, response) => refuseExpectation(response));
    server.on('upgrade', (request, socket, head) => {
      if (answering(socket) !== undefined) socket.destroy();
      else this.pipeline.upgrade(request, socket as Socket, head);
    });
    server.on('connect', (_request, socket) => {
      if (answering(socket) !== undefined) socket.destroy();
      else refuseConnect(socket);
    });
    server.on('clientError', (error, socket) => refuseUnparsed(error, socket, answering(socket)));
    return server;
  }
}

/** While it drains each connection ends with its answer. */
function endAfterAnswer(_request: unknown, response: ServerResponse): void {
  response.shouldKeepAlive = false;
}
