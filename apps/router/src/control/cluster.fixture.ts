import { mkdtempSync, rmSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import type { NodeRecord } from '@kiln/contract/records/records';
import { FUNCTION_CHANGED } from '@kiln/contract/wire/events';
import { parseMasterKey } from '@kiln/secrets/master-key';
import { EventClient } from '@kiln/service/event-client';
import { FunctionStore } from '@kiln/state/functions/function-store';
import { NodeStore } from '@kiln/state/node-store';
import { connectionOptions } from '@kiln/state/store/connection-options';
import { connectStore, type Store } from '@kiln/state/store/store';
import { type Answer, type CallOptions, call } from '@kiln/testing/call';
import { startTestRedis, type TestRedis } from '@kiln/testing/redis';
import { until } from '@kiln/testing/until';
import { pino } from 'pino';
import type { RouterConfig } from '../config.js';
import { type Router, startRouter } from '../router.js';

const SECRET = 'a-cluster-secret-for-tests';
const MASTER_KEY = '0a'.repeat(32);
export const ADMIN_KEY = `kiln_${'A'.repeat(12)}_${'b'.repeat(40)}`;

const BEAT_MS = 200;
const RECONCILE_MS = 10;

/** What a stand-in node does with a build: the lines, and how it proves a version. */
export interface Script {
  build(request: IncomingMessage, response: ServerResponse): void;
  prove(version: { image: string; config: FunctionConfigInput }): 'ready' | 'wait' | { code: string; detail: string };
  /** Instances ahead of traffic. */
  warm?(): Promise<void>;
}

/** A router in this process with a Redis of its own and one node whose agent is a stand-in that does as told. */
export class TestCluster {
  readonly requests: { method: string; url: string; secret: string | undefined }[] = [];
  script: Script = { build: refuseBuild, prove: () => 'ready' };
  beating = true;
  /** What the node says that it has. */
  masterKeys: string[] = [];
  /** What else. */
  nodeSays: object = {};
  readonly functions: FunctionStore;
  readonly store: Store;
  private readonly timers: NodeJS.Timeout[] = [];
  private beats = 0;
  private readonly events: EventClient;

  private constructor(
    readonly redis: TestRedis,
    readonly router: Router,
    readonly agent: http.Server,
    readonly home: string,
  ) {
    this.store = connectStore(redis.url, { onError: () => undefined });
    this.functions = new FunctionStore(this.store);
    this.events = new EventClient(connectionOptions(redis.url), { warn: () => undefined });
  }

  static async start(config: Partial<RouterConfig> = {}): Promise<TestCluster> {
    const redis = await startTestRedis();
    const agent = http.createServer();
    await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve));
    const home = mkdtempSync(join(tmpdir(), 'kiln-router-'));
    const router = await startRouter({ ...configFor(redis.url), home, ...config }, pino({ level: 'silent' }));
    const cluster = new TestCluster(redis, router, agent, home);
    agent.on('request', (request, response) => cluster.onAgentRequest(request, response));
    await cluster.store.whenReady(5000);
    cluster.timers.push(
      setInterval(() => void cluster.beat(), BEAT_MS),
      setInterval(() => void cluster.reconcile(), RECONCILE_MS),
    );
    await until('the router sees the node', async () => (await cluster.api('GET', '/v1/nodes')).text.includes('"live":true'));
    return cluster;
  }

  get controlPort(): number {
    return Number(new URL(this.router.controlUrl).port);
  }

  get dataPort(): number {
    return Number(new URL(this.router.dataUrl).port);
  }

  api(method: string, path: string, body?: unknown, key: string | null = ADMIN_KEY): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return this.send(method, path, {
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(text !== undefined && { 'content-type': 'application/json' }),
      },
      ...(text !== undefined && { body: text }),
    });
  }

  send(method: string, path: string, options: CallOptions): Promise<Answer> {
    return call(this.controlPort, path, { method, ...options });
  }

  callOf(name: string): Promise<Answer> {
    return call(this.dataPort, `/fn/${name}/`);
  }

  async stop(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    await this.router.stop();
    this.events.close();
    await this.store.close();
    this.agent.closeAllConnections();
    this.agent.close();
    await this.redis.stop();
    rmSync(this.home, { recursive: true, force: true });
  }

  private async beat(): Promise<void> {
    if (!this.beating) return;
    this.beats += 1;
    await new NodeStore(this.store)
      .heartbeat({ ...nodeRecord(this.agent, this.beats), masterKeys: this.masterKeys, ...this.nodeSays })
      .catch(() => undefined);
  }

  private async reconcile(): Promise<void> {
    const all = await this.functions.listAll().catch(() => []);
    for (const { function: name, version, state, image, config } of all.flatMap(({ versions }) => versions)) {
      if (state !== 'pending') continue;
      const outcome = this.script.prove({ image, config });
      if (outcome === 'wait') continue;
      const settled = outcome === 'ready' ? this.functions.markReady(name, version) : this.functions.markFailed(name, version, outcome);
      await settled.then(() => this.events.emit(FUNCTION_CHANGED, { name })).catch(() => undefined);
    }
  }

  private onAgentRequest(request: IncomingMessage, response: ServerResponse): void {
    if (!this.beating) {
      request.socket.destroy();
      return;
    }
    const { pathname, searchParams } = new URL(request.url as string, 'http://agent');
    this.requests.push({
      method: request.method as string,
      url: request.url as string,
      secret: request.headers['x-kiln-secret'] as string,
    });
    const json = (status: number, value: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    request.on('error', () => response.destroy());
    if (pathname === '/builds') this.script.build(request, response);
    else {
      request.resume();
      if (pathname === '/images/facts') facts(searchParams.get('image') as string, json);
      else if (pathname === '/instances') json(200, [instance(searchParams.get('function') as string)]);
      else if (pathname === '/warm') {
        const warmed = this.script.warm?.() ?? Promise.resolve();
        void warmed.then(() => json(200, { wanted: 0, ready: 0 })).catch(() => json(500, {}));
      } else json(pathname === '/drain' ? 200 : 404, {});
    }
  }
}

export interface ProblemAnswer {
  code: string;
  detail: string;
  requestId: string;
  fields?: { field: string }[];
}

export function problemOf(answer: Answer): [status: number, code: string] {
  return [answer.status, answer.json<ProblemAnswer>().code];
}

/** A build that reads the whole upload and then says these lines. */
export function buildsTo(...lines: object[]): Script['build'] {
  return (request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.end(lines.map((line) => JSON.stringify(line)).join('\n'));
    });
  };
}

export function built(digest: string, config: FunctionConfigInput = {}): object {
  return { type: 'built', image: `img@${digest}`, digest, kind: 'runner', config };
}

export function configFor(redisUrl: string): RouterConfig {
  return {
    home: join(tmpdir(), 'kiln-router-no-home'),
    path: '/usr/local/bin:/usr/bin:/bin',
    bind: '127.0.0.1',
    httpPort: 0,
    controlPort: 0,
    domain: 'localhost',
    callsByPath: true,
    publicUrl: 'http://localhost:8080',
    redisUrl,
    clusterSecret: SECRET,
    masterKeys: { own: parseMasterKey(MASTER_KEY)!, previous: undefined, source: 'the fixture' },
    adminKey: ADMIN_KEY,
    trustedProxies: [],
    placementHeaders: true,
    drainTimeout: 1000,
    drainDelay: 0,
    logLevel: 'silent',
  };
}

function refuseBuild(request: IncomingMessage, response: ServerResponse): void {
  request.resume().on('end', () => response.end(JSON.stringify({ type: 'failed', code: 'bad_request', detail: 'no gzip' })));
}

function facts(image: string, json: (status: number, value: unknown) => void): void {
  if (image.includes('missing')) json(502, { code: 'start_failed', detail: `no image ${image}` });
  else json(200, { image: `${image}@sha256:1`, digest: 'sha256:1', kind: 'http' });
}

function instance(name: string): object {
  return { id: 'i1', function: name, version: 1, node: 'node-1', state: 'idle', leases: 0, startedAt: new Date().toISOString() };
}

function nodeRecord(agent: http.Server, beat: number): NodeRecord {
  const url = `http://127.0.0.1:${(agent.address() as AddressInfo).port}`;
  const startedAt = '2026-01-01T00:00:00.000Z';
  const capacity = { weight: 1, cores: 2, memory: 1024, memoryPromised: 0, load: 0, instances: 0 };
  return { id: 'node-1', dataUrl: url, controlUrl: url, ...capacity, draining: false, epoch: 'e', beat, startedAt, warnings: [] };
}
