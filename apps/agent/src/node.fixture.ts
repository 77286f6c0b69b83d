import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FunctionConfigInput, resolveConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { type ImageKind } from '@kiln/contract/kinds';
import type { LogRecord } from '@kiln/contract/records/records';
import type { FunctionVersion } from '@kiln/instances/port/container-driver';
import { Registries } from '@kiln/registry/registries';
import { NodeListener } from './invoke/listen.js';
import { NodeLifecycle } from './node/lifecycle.js';
import { type NodeParts, openNode } from './node-parts.js';

const SECRET = 'a-cluster-secret-for-tests';

export interface NodeAnswer {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
  ms: number;
}

export interface NodeCallOptions {
  method?: string;
  path?: string;
  body?: string;
  requestId?: string;
  headers?: http.OutgoingHttpHeaders;
  version?: number;
}

/** A node on the real engine with its door, and nothing of the cluster around it. */
export class TestNode {
  readonly faults: unknown[] = [];
  readonly troubles: string[] = [];
  readonly logs: LogRecord[] = [];
  readonly lifecycle = new NodeLifecycle();
  parts!: NodeParts;
  listener!: NodeListener;
  port = 0;
  private readonly versions = new Map<string, FunctionVersion>();
  private readonly home = mkdtempSync(join(tmpdir(), 'kiln-'));

  private constructor(readonly node: string) {}

  static async start(options: { memory?: number; cpus?: number; node?: string } = {}): Promise<TestNode> {
    const test = new TestNode(options.node ?? `t-${randomBytes(4).toString('hex')}`);
    const settings = {
      nodeId: test.node,
      home: test.home,
      dockerHost: 'unix:///var/run/docker.sock',
      memory: options.memory ?? 4096,
      cpus: options.cpus ?? 64,
      firewallRequired: true,
      engineTimeout: 15_000,
      exitTimeout: 10_000,
    };
    test.parts = await openNode(settings, {
      slots: { reserve: async () => 'granted', release: () => undefined },
      registries: new Registries(),
      onLine: () => undefined,
      secretsOf: async () => ({}),
      onLogRecord: (record) => test.logs.push(record),
      onTrouble: (message) => test.troubles.push(message),
    });
    const { pools } = test.parts;
    const { lifecycle } = test;
    test.listener = new NodeListener({
      host: '127.0.0.1',
      port: 0,
      pools,
      lifecycle,
      secret: SECRET,
      versions: { find: (name, version) => test.find(name, version) },
      onFault: (error) => test.faults.push(error),
    });
    ({ port: test.port } = await test.listener.listen());
    return test;
  }

  add(name: string, image: string, config: FunctionConfigInput = {}, kind: ImageKind = 'runner'): FunctionVersion {
    const version: FunctionVersion = { function: name, version: 1, image, kind, config: resolveConfig({ memory: 128, ...config }, kind) };
    this.versions.set(`${name}@1`, version);
    return version;
  }

  call(name: string, options: NodeCallOptions = {}): Promise<NodeAnswer> {
    const began = performance.now();
    return new Promise((resolve, reject) => {
      const request = this.request(name, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, ms: performance.now() - began });
        });
      });
      request.on('error', reject);
      request.end(options.body);
    });
  }

  /** A request that is not ended yet. */
  request(name: string, options: NodeCallOptions = {}, onResponse?: (response: http.IncomingMessage) => void): http.ClientRequest {
    const { method = options.body === undefined ? 'GET' : 'POST', path = '/', requestId = 'r-1', version = 1 } = options;
    const headers = {
      'x-kiln-secret': SECRET,
      'x-kiln-function': name,
      'x-kiln-version': String(version),
      'x-request-id': requestId,
      ...(options.body !== undefined && { 'content-length': Buffer.byteLength(options.body) }),
      ...options.headers,
    };
    return http.request({ port: this.port, method, path, headers, agent: false }, onResponse);
  }

  /** Containers of this node on the engine. */
  async containers(name?: string): Promise<{ Id: string; Labels: Record<string, string>; State: string }[]> {
    const label = [`kiln.node=${this.node}`, ...(name === undefined ? [] : [`kiln.function=${name}`])];
    return this.parts.docker.listContainers({ all: true, filters: { label } });
  }

  async stop(): Promise<void> {
    this.lifecycle.move('leaving');
    this.parts?.pools.close();
    await this.listener?.finish(0, new AbortController().signal);
    this.parts?.pools.cut();
    const deadline = performance.now() + 20_000;
    while (this.parts?.pools.living.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    await this.listener?.close();
    await this.parts?.engine.close();
    rmSync(this.home, { recursive: true, force: true });
    if (this.faults.length > 0) throw new Error('faults of our own', { cause: this.faults[0] });
  }

  private async find(name: string, version: number): Promise<FunctionVersion> {
    const found = this.versions.get(`${name}@${version}`);
    if (found === undefined) throw new KilnError('version_not_found', `"${name}" has no version ${version}`);
    return found;
  }
}

/** A handler that runs the code it is sent; without code it says hello. */
export const EVALUATE = `
const AsyncFunction = (async () => {}).constructor;
globalThis.closed = 0;
export default async (request, response) => {
  let code = '';
  if (request.method === 'POST') for await (const chunk of request) code += chunk;
  response.on('close', () => { if (!response.writableFinished) globalThis.closed++; });
  const require = process.getBuiltinModule('node:module').createRequire('/app/index.mjs');
  const result = await new AsyncFunction('request', 'response', 'require', code || 'return "hello"')(request, response, require);
  if (!response.headersSent) response.end(JSON.stringify(result) ?? 'null');
};`;

export const instanceOf = (answer: NodeAnswer) => String(answer.headers['x-kiln-instance']);
export const codeOf = (answer: NodeAnswer) => answer.headers['x-kiln-error'];
export const sleepCode = (ms: number) => `await new Promise((resolve) => setTimeout(resolve, ${ms})); return 'slept';`;
