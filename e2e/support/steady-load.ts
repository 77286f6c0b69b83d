import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { call } from '@kiln/testing/call';
import type { Member } from '@kiln/testing/cluster';

/** What became of one request. */
export interface Call {
  router: string;
  /** `performance.now()` */
  sentAt: number;
  endedAt: number;
  version: number;
  node: string;
  /** `warm` or `cold`. */
  start: string;
  /** What was not as it should be: an error, a status, an answer that is not whole. */
  fault: string | undefined;
}

const BODY = 'x'.repeat(1000);
const STREAM = `${'tick\n'.repeat(10)}end\n`;

/**
 * Calls one function through all routers at once, on kept connections, as fast as the answers come: every other request is a POST,
 * which nobody may send twice. Beside them streams run that last 2 s, longer than any change of traffic takes.
 */
export class SteadyLoad {
  readonly calls: Call[] = [];
  readonly streams: Call[] = [];
  private running = true;
  private readonly workers: Promise<void>[] = [];
  private readonly agents: http.Agent[] = [];
  private startedAt = performance.now();
  /** Ports of routers that said that they are not ready. */
  private readonly away = new Set<number>();

  constructor(
    routers: readonly Member[],
    private readonly name: string,
    { connections = 8, streams = 1, balanced = false } = {},
  ) {
    for (const router of routers) {
      if (balanced) this.workers.push(this.watch(router));
      const agent = new http.Agent({ keepAlive: true, maxSockets: connections + streams });
      this.agents.push(agent);
      for (let i = 0; i < connections; i += 1) this.workers.push(this.work(router, agent));
      for (let i = 0; i < streams; i += 1) this.workers.push(this.stream(router, agent));
    }
  }

  /** Ends when every request under way has its answer. */
  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.workers);
    for (const agent of this.agents) agent.destroy();
  }

  get faults(): string[] {
    return [...this.calls, ...this.streams].flatMap(({ fault, version }) => (fault === undefined ? [] : [`v${version}: ${fault}`]));
  }

  get perSecond(): number {
    return Math.round((this.calls.length / ((this.calls.at(-1)?.endedAt ?? 0) - this.startedAt)) * 1000);
  }

  /** The next so many answers after now, by version. */
  async next(count: number): Promise<Map<number, number>> {
    const from = performance.now();
    const counts = new Map<number, number>();
    let at = this.calls.length;
    for (let seen = 0; seen < count; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      for (; at < this.calls.length && seen < count; at += 1) {
        const { sentAt, version } = this.calls[at] as Call;
        if (sentAt < from) continue;
        seen += 1;
        counts.set(version, (counts.get(version) ?? 0) + 1);
      }
      if (performance.now() - from > 60_000) throw new Error(`only ${seen} of ${count} calls within 60 s`);
    }
    return counts;
  }

  /** As a load balancer does: new calls go to a router only while it says that it is ready. */
  private async watch({ ports: { data } }: Member): Promise<void> {
    while (this.running) {
      const ready = await call(data, '/readyz', { timeoutMs: 1000 })
        .then(({ status }) => status === 200)
        .catch(() => false);
      if (ready) this.away.delete(data);
      else this.away.add(data);
      await delay(50);
    }
  }

  /** False where the load ends meanwhile. */
  private async goesOn({ ports: { data } }: Member): Promise<boolean> {
    while (this.running && this.away.has(data)) await delay(20);
    return this.running;
  }

  private async work(router: Member, agent: http.Agent): Promise<void> {
    for (let i = 0; await this.goesOn(router); i += 1) {
      const post = i % 2 === 1;
      const expected = post ? `"got":${BODY.length}}` : '"got":0}';
      this.calls.push(await this.send(router, agent, post ? 'POST' : 'GET', '/', (text) => text.endsWith(expected)));
    }
  }

  private async stream(router: Member, agent: http.Agent): Promise<void> {
    while (await this.goesOn(router)) this.streams.push(await this.send(router, agent, 'GET', '/stream', (text) => text === STREAM));
  }

  private send(router: Member, agent: http.Agent, method: string, path: string, isWhole: (text: string) => boolean): Promise<Call> {
    const call: Call = { router: router.id, sentAt: performance.now(), endedAt: 0, version: 0, node: '', start: '', fault: undefined };
    return new Promise((resolve) => {
      const end = (fault?: string) => {
        call.endedAt = performance.now();
        call.fault = fault;
        resolve(call);
      };
      const target = { host: '127.0.0.1', port: router.ports.data, path: `/fn/${this.name}${path}`, method, agent };
      const request = http.request({ ...target, headers: method === 'POST' ? { 'content-length': BODY.length } : {} });
      request.setTimeout(30_000, () => request.destroy(new Error('no answer within 30 s')));
      request.once('error', (error) => end(`${method} ${path}: ${error.message}`));
      request.once('response', (response) => {
        call.version = Number(response.headers['x-kiln-version']);
        call.node = String(response.headers['x-kiln-node']);
        call.start = String(response.headers['x-kiln-start']);
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.once('error', (error) => end(`${method} ${path}: cut: ${error.message}`));
        response.once('end', () => {
          if (response.statusCode !== 200) end(`${method} ${path}: ${response.statusCode} ${text}`);
          else end(response.complete && isWhole(text) ? undefined : `${method} ${path}: not whole: ${text.slice(0, 200)}`);
        });
      });
      request.end(method === 'POST' ? BODY : undefined);
    });
  }
}

/** In ms. */
export function slowest(calls: readonly Call[]): number {
  return Math.round(calls.reduce((longest, { sentAt, endedAt }) => Math.max(longest, endedAt - sentAt), 0));
}
