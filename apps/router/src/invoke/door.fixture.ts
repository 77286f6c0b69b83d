import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { type FunctionConfig, type FunctionConfigInput, resolveConfig } from '@kiln/contract/config/function-config';
import type { NodeRecord } from '@kiln/contract/records/records';
import { onTestFinished } from 'vitest';
import { NodeTable } from '../placement/node-table.js';
import type { Route } from '../view/route-table.js';
import type { InvocationRecord } from './invocation.js';
import { DataListener } from './listen.js';

export const SECRET = 'a-cluster-secret-for-tests';

export type DoorAnswer = (request: IncomingMessage, response: ServerResponse) => void;

/** A stand-in for a node's agent: a real HTTP server that answers as told. */
interface FakeAgent {
  id: string;
  port: number;
  server: http.Server;
  /** Requests seen, as they came. */
  requests: IncomingMessage[];
  answer: DoorAnswer;
  /** How it answers who asks whether its door answers. */
  health: DoorAnswer;
  /** How often that was asked. */
  asked: number;
  stop(): Promise<void>;
  /** Again, at the same port. */
  start(): Promise<void>;
}

export const silent: DoorAnswer = () => undefined;

export interface Door {
  port: number;
  listener: DataListener;
  agents: FakeAgent[];
  nodes: NodeTable;
  records: InvocationRecord[];
  routes: Map<string, Route>;
  /** The agent at the function's home, and the ones behind it in order. */
  inOrder(name?: string): FakeAgent[];
  beat(): void;
  /** Its agent says that it was started anew. */
  restarted(agent: FakeAgent): void;
}

export interface DoorOptions {
  agents?: number;
  /** How many of them the router has read of so far; default: all. */
  known?: number;
  functions?: Record<string, FunctionConfigInput>;
  config?: Partial<ConstructorParameters<typeof DataListener>[0]['config']>;
  keys?: ConstructorParameters<typeof DataListener>[0]['keys'];
  answer?: DoorAnswer;
  /** What the router logs as its own fault; default: the test fails. */
  onFault?: (details: object) => void;
}

/** A listening door with stand-in agents behind it; all closed when the test ends. */
export async function openDoor(options: DoorOptions = {}): Promise<Door> {
  const agents = await Promise.all(
    Array.from({ length: options.agents ?? 1 }, (_, i) => fakeAgent(`node-${i + 1}`, options.answer ?? echo)),
  );
  const nodes = new NodeTable();
  let beats = 0;
  const epochs = new Map<FakeAgent, string>();
  const beat = (known = agents) =>
    nodes.update(known.map((agent) => ({ ...nodeRecord(agent), epoch: epochs.get(agent) ?? 'e', beat: ++beats, alive: true })));
  const restarted = (agent: FakeAgent) => {
    epochs.set(agent, 'f');
    beat();
  };
  beat(agents.slice(0, options.known));
  const functions = options.functions ?? { hello: {} };
  const routes = new Map(Object.entries(functions).map(([name, config]) => [name, routeOf(name, config)]));
  const records: InvocationRecord[] = [];
  const listener = new DataListener({
    config: {
      bind: '127.0.0.1',
      httpPort: 0,
      domain: 'localhost',
      callsByPath: true,
      clusterSecret: SECRET,
      trustedProxies: [],
      placementHeaders: true,
      ...options.config,
    },
    routes: { find: (name) => routes.get(name) },
    refreshOnMiss: async () => undefined,
    nodes,
    refreshNodes: async () => beat(),
    keys: options.keys ?? { allows: () => 'unauthorized' },
    log: { info: () => undefined, warn: () => undefined, error: options.onFault ?? failTest },
    isReady: () => true,
    observers: [(record) => records.push(record)],
  });
  onTestFinished(async () => {
    listener.close();
    await Promise.all(agents.map((agent) => agent.stop()));
  });
  const { port } = await listener.listen();
  const inOrder = (name = 'hello') => nodes.preference(name).map(({ id }) => agents.find((agent) => agent.id === id)!);
  return { port, listener, agents, nodes, records, routes, inOrder, beat, restarted };
}

function failTest(details: object, message: string): never {
  throw new Error(message, { cause: details });
}

/** Answers with what came: method, target and raw headers as JSON, the body's length. */
export const echo: DoorAnswer = (request, response) => {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('end', () => {
    response.writeHead(200, [
      'Content-Type',
      'application/json',
      'x-kiln-node',
      'node-x',
      'x-kiln-instance',
      'abc',
      'x-kiln-start',
      'warm',
      'x-kiln-timing',
      '1;2;3',
      'x-kiln-load',
      '0.5',
    ]);
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.rawHeaders, bytes }));
  });
};

/** What an agent answers when nothing reached an instance. */
export const refuseWith =
  (status: number, code: string, detail = 'said the node'): DoorAnswer =>
  (_request, response) => {
    response.writeHead(status, ['x-kiln-error', code, 'x-kiln-not-executed', '1', 'Content-Type', 'application/problem+json']);
    response.end(JSON.stringify({ code, detail }));
  };

export function routeOf(name: string, input: FunctionConfigInput): Route {
  const config: FunctionConfig = resolveConfig(input, 'runner');
  const version = { version: 1, kind: 'runner' as const, config };
  return {
    name,
    versions: new Map([
      [1, version],
      [2, { ...version, version: 2 }],
    ]),
    traffic: [{ version: 1, weight: 100 }],
    sticky: false,
  };
}

/** A busy machine may take its time before it answers at all. */
const FIRST_BYTE_MS = 10_000;

/** Sends bytes over a connection of its own and gives back all that came until it ended, or until nothing more came for `quietMs`. */
export function exchangeRaw(port: number, bytes: string | Buffer, quietMs = 400): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    socket.setTimeout(FIRST_BYTE_MS, () => socket.destroy());
    socket.on('connect', () => socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      socket.setTimeout(quietMs);
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? undefined : reject(error),
    );
    socket.on('close', () => resolve(text));
  });
}

/** What the echoing agent saw. */
export interface Echoed {
  method: string;
  url: string;
  headers: string[];
  bytes: number;
}

/** Sends a request, given as its lines without the last two, and gives back what the echoing agent saw of it. */
export async function echoed(door: Door, lines: string, body = ''): Promise<Echoed> {
  const answer = bodyOf(await exchangeRaw(door.port, `${lines}\r\nConnection: close\r\n\r\n${body}`, 1000));
  const json = answer.replace(/^[0-9a-f]+\r\n|\r\n0\r\n\r\n$/g, '');
  return JSON.parse(Buffer.from(json, 'latin1').toString()) as Echoed;
}

/** All values of a header, in order. */
export function valuesOf({ headers }: Pick<Echoed, 'headers'>, name: string): string[] {
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1]!.toLowerCase() === name);
}

/** What follows the head of an answer. */
export function bodyOf(answer: string): string {
  return answer.slice(answer.indexOf('\r\n\r\n') + 4);
}

/** Calls `hello`, over a connection of its own. */
export function get(door: Door, path = '/fn/hello/', options: http.RequestOptions = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    http.get({ port: door.port, path, agent: false, ...options }, resolve).on('error', reject);
  });
}

export async function text(response: IncomingMessage): Promise<string> {
  return Buffer.concat(await response.toArray()).toString();
}

/** A connection to a port, open until the test ends. */
export async function connected(port: number): Promise<Socket & { received: () => string }> {
  const socket = net.connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  return Object.assign(socket, { received: () => text });
}

async function fakeAgent(id: string, answer: DoorAnswer): Promise<FakeAgent> {
  const server = http.createServer({ keepAliveTimeout: 75_000, maxHeaderSize: 64 * 1024 });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const start = () => new Promise<void>((resolve) => server.listen(agent.port, '127.0.0.1', resolve));
  const healthy: DoorAnswer = (_request, response) => response.end('ok\n');
  const agent: FakeAgent = {
    id,
    port: 0,
    server,
    requests: [],
    answer,
    health: healthy,
    asked: 0,
    stop: () => stop(server, sockets),
    start,
  };
  const onRequest: DoorAnswer = (request, response) => {
    if (request.url === '/healthz' && request.headers['x-kiln-function'] === undefined) {
      agent.asked++;
      agent.health(request, response);
      return;
    }
    agent.requests.push(request);
    agent.answer(request, response);
  };
  server.on('request', onRequest);
  await start();
  agent.port = (server.address() as AddressInfo).port;
  return agent;
}

function stop(server: http.Server, sockets: Set<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
}

function nodeRecord({ id, port }: FakeAgent): NodeRecord {
  const url = `http://127.0.0.1:${port}`;
  const startedAt = new Date().toISOString();
  return {
    id,
    dataUrl: url,
    controlUrl: url,
    weight: 1,
    cores: 2,
    memory: 1,
    memoryPromised: 0,
    load: 0,
    instances: 0,
    draining: false,
    warnings: [],
    epoch: 'e',
    beat: 0,
    startedAt,
    tellsWaiting: true,
  };
}
