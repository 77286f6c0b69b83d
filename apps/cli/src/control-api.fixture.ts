import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { resolveConfig } from '@kiln/contract/config/function-config';
import { ERRORS, type ErrorCode, KilnError, PROBLEM_CONTENT_TYPE, toProblem } from '@kiln/contract/errors';
import { run } from './run.js';

export const KEY = 'kiln_testtesttest_0123456789abcdefghijklmnopqrstuvwx';
const TIME = '2030-01-01T00:00:00.000Z';

export interface SeenRequest {
  method: string;
  path: string;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}

type Handler = (request: SeenRequest, response: http.ServerResponse) => void;

/** A small server that speaks the contract of the control API, and of one function behind it. */
export class ControlApi {
  readonly seen: SeenRequest[] = [];
  readonly routes = new Map<string, Handler>();
  url = '';
  private readonly server = http.createServer((request, response) => void this.answer(request, response));

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    this.state('ready');
    this.json('GET /v1/functions', { items: [this.functionView()], next: null });
    this.json('GET /v1/functions/hello', this.functionView());
    this.json('GET /v1/functions/hello/versions', { items: [this.version()], next: null });
    this.json('GET /v1/functions/hello/instances', { items: [], next: null });
    this.json('GET /v1/store', { state: 'well', holds: null });
    this.json('GET /v1/nodes', { items: [this.node()], next: null });
  }

  functionView() {
    const traffic = [{ version: 2, weight: 100 }];
    const url = `${this.url}/fn/hello/`;
    const times = { createdAt: TIME, updatedAt: TIME };
    return { name: 'hello', revision: 4, lastVersion: 2, traffic, previousTraffic: [], ...times, url, home: 'node-1' };
  }

  version(auth: 'none' | 'key' = 'none') {
    const config = resolveConfig({ auth }, 'runner');
    const image = `sha256:${'a'.repeat(64)}`;
    const proven = { state: 'ready', provingNode: 'node-1', createdAt: TIME };
    return { function: 'hello', version: 2, image, digest: image, kind: 'runner', config, ...proven };
  }

  node() {
    const urls = { dataUrl: 'http://127.0.0.1:9200', controlUrl: 'http://127.0.0.1:9201' };
    const load = { memory: 1000, memoryPromised: 256, load: 0.5, instances: 1 };
    const life = { draining: false, epoch: 'e', beat: 1, startedAt: TIME, live: true };
    return { id: 'node-1', ...urls, weight: 1, cores: 2, ...load, ...life, warnings: ['no rules in INPUT'] };
  }

  json(route: string, body: unknown, status = 200): void {
    this.routes.set(route, (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  state(state: string): void {
    this.routes.set('GET /readyz', (_request, response) => void response.setHeader('content-type', 'text/plain').end(`${state}\n`));
  }

  /** JSON lines, as builds and logs answer. */
  lines(route: string, lines: readonly unknown[]): void {
    this.routes.set(route, (_request, response) => {
      response.setHeader('content-type', 'application/x-ndjson').end(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    });
  }

  fail(route: string, code: ErrorCode, detail: string): void {
    this.routes.set(route, (_request, response) => problem(response, code, detail));
  }

  private async answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const path = request.url ?? '';
    const seen = { method: request.method ?? '', path, headers: request.headers, body: await buffer(request) };
    this.seen.push(seen);
    if (path.startsWith('/v1/') && request.headers.authorization !== `Bearer ${KEY}`)
      return problem(response, 'unauthorized', 'no such key');
    const handler = this.routes.get(`${seen.method} ${path.split('?')[0]}`);
    if (handler) handler(seen, response);
    else problem(response, path.startsWith('/v1/functions/') ? 'function_not_found' : 'not_found', `there is nothing at ${path}`);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function problem(response: http.ServerResponse, code: ErrorCode, detail: string): void {
  response.writeHead(ERRORS[code].status, { 'content-type': PROBLEM_CONTENT_TYPE, 'x-kiln-error': code });
  response.end(JSON.stringify(toProblem(new KilnError(code, detail), 'r1')));
}

export interface RunOptions {
  env?: Record<string, string | undefined>;
  stdin?: string;
  /** What is typed at a terminal; without it, nothing is one. */
  typed?: string;
  /** How wide that terminal is. */
  columns?: number;
  /** Ctrl-C. */
  interrupted?: AbortSignal;
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
  bytes: Buffer;
}

/** One run of the command line in this process. */
export async function kiln(args: string[], { env = {}, stdin = '', typed, columns, interrupted }: RunOptions = {}): Promise<Ran> {
  const isTTY = typed !== undefined;
  const collect = () => {
    const chunks: Buffer[] = [];
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk);
        done();
      },
    });
    return { stream: Object.assign(stream, { isTTY, columns }), all: () => Buffer.concat(chunks) };
  };
  const [stdout, stderr] = [collect(), collect()];
  const never = new AbortController().signal;
  const input = Object.assign(Readable.from([Buffer.from(typed ?? stdin)]), { isTTY });
  const streams = { stdin: input, stdout: stdout.stream, stderr: stderr.stream, interrupted: interrupted ?? never, insisted: never };
  const code = await run(args, streams, env);
  return { code, stdout: stdout.all().toString(), stderr: stderr.all().toString(), bytes: stdout.all() };
}
