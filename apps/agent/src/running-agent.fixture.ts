import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveConfig } from '@kiln/contract/config/function-config';
import type { VersionRecord } from '@kiln/contract/records/records';
import { connectEngine } from '@kiln/engine/connect-engine';
import { FunctionStore } from '@kiln/state/functions/function-store';
import { NodeStore } from '@kiln/state/node-store';
import { connectStore, type Store } from '@kiln/state/store/store';
import { buildRunnerImage } from '@kiln/testing/images/test-image';
import { freePorts } from '@kiln/testing/ports';
import { startTestRedis, type TestRedis } from '@kiln/testing/redis';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { pino } from 'pino';
import { afterAll, beforeAll } from 'vitest';
import { startApplication } from './application.js';
import { readConfig } from './config.js';
import { EVALUATE } from './node.fixture.js';

const SECRET = 'a-cluster-secret-for-tests';
export const node = `t-${randomBytes(4).toString('hex')}`;
export const docker = connectEngine('unix:///var/run/docker.sock');

let home: string;
export let redis: TestRedis;
export let store: Store;
export let functions: FunctionStore;
export let app: NestFastifyApplication;
export let image: { id: string; remove(): Promise<void> };
export let ports: { data: number; control: number };

/** A life of the agent; the one before has ended. */
export async function start(): Promise<void> {
  const config = readConfig({
    KILN_HOME: home,
    KILN_NODE_ID: node,
    KILN_REDIS_URL: redis.url,
    KILN_CLUSTER_SECRET: SECRET,
    KILN_AGENT_PORT: String(ports.data),
    KILN_AGENT_CONTROL_PORT: String(ports.control),
    KILN_DRAIN_TIMEOUT: '5000',
  });
  app = await startApplication(config, pino({ level: 'silent' }));
}

/** For the tests of one file: an agent as it runs on a node, with the real engine and a real store. */
export function withRunningAgent(): void {
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'kiln-'));
    image = await buildRunnerImage(EVALUATE);
    redis = await startTestRedis();
    store = connectStore(redis.url, { onError: () => undefined });
    await store.whenReady(5000);
    functions = new FunctionStore(store);
    const [data, control] = (await freePorts(2)) as [number, number];
    ports = { data, control };
    await start();
  });
  afterAll(async () => {
    await app?.close();
    await store?.close();
    await redis?.stop();
    await image?.remove();
    rmSync(home, { recursive: true, force: true });
  });
}

interface AgentAnswer {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
}

export function ask(port: number, path: string, options: http.RequestOptions = {}, body = ''): Promise<AgentAnswer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { port, path, agent: false, ...options, headers: { 'x-kiln-secret': SECRET, ...options.headers } },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += String(chunk);
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

export const control = (path: string, options: http.RequestOptions = {}) => ask(ports.control, path, options);
export const storedDraining = async () => (await new NodeStore(store).list()).find(({ id }) => id === node)?.draining;
export const call = (name: string, version = 1, body = '') =>
  ask(
    ports.data,
    '/',
    {
      method: body === '' ? 'GET' : 'POST',
      headers: {
        'x-kiln-function': name,
        'x-kiln-version': String(version),
        'x-request-id': 'r-1',
        'content-length': Buffer.byteLength(body),
      },
    },
    body,
  );

export function create(name: string, config: object = {}, imageId = image.id): Promise<VersionRecord> {
  return functions.createVersion(name, {
    image: imageId,
    digest: imageId,
    kind: 'runner',
    config: resolveConfig({ memory: 128, ...config }, 'runner'),
    provingNode: node,
  });
}

export const stateOf = async (name: string, version = 1) => (await functions.version(name, version))?.state;
export const containers = () => docker.listContainers({ all: true, filters: { label: [`kiln.node=${node}`] } });
