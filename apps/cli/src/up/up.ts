import { KilnClient } from '@kiln/client/client';
import type { Session } from '../command.js';
import type { Config } from '../config.js';
import { openEngine } from '../engine.js';
import { Failure, Interrupted } from '../failure.js';
import { homePaths } from '../home.js';
import { type AppOptions, agentSpec, routerSpec } from './apps.js';
import { loadCluster, makeMasterKey, nodeIds } from './files/cluster-file.js';
import { makePrivateFolder, writePrivate } from './files/private-file.js';
import { removeLeftovers } from './leftovers.js';
import { findFree, requireFree } from './ports.js';
import { end } from './processes.js';
import { redisAnswers, redisSpec } from './redis.js';
import { RunningFile } from './running-file.js';
import { Supervisor } from './supervisor.js';

const LEFTOVER_STOP_MS = 3000;
const FIRST_REDIS_PORT = 16_379;

/** Runs when the cluster is ready. When it returns or throws, all processes are stopped. */
type WhileUp = (client: KilnClient, nodes: readonly string[]) => Promise<void>;

/** One `kiln up`, from taking the lock to the end of its last process. */
export async function up(session: Session, nodes: number, whileUp: WhileUp): Promise<void> {
  const { config, terminal } = session;
  const paths = homePaths(config.KILN_HOME);
  for (const folder of [paths.home, paths.logs, paths.redis]) makePrivateFolder(folder);
  const running = RunningFile.take(paths.running, [config.KILN_HTTP_PORT, config.KILN_CONTROL_PORT]);
  try {
    await endLeftovers(session, running);
    await requireEngine(config.DOCKER_HOST);
    const ids = nodeIds(paths.home, nodes);
    const leftovers = { home: paths.home, dockerHost: config.DOCKER_HOST, nodeIds: ids };
    // Each agent cleans up for its own node. An earlier kiln up may have had more nodes.
    await removeLeftovers({ ...leftovers, nodeIds: nodeIds(paths.home).filter((id) => !ids.includes(id)) }, terminal);
    const drainTimeoutMs = config.KILN_DRAIN_DELAY + config.KILN_DRAIN_TIMEOUT;
    const supervisor = new Supervisor({ terminal, running, leftovers, drainTimeoutMs });
    try {
      const client = await start(config, ids, supervisor);
      if (!terminal.interrupted.aborted) await whileUp(client, ids);
    } finally {
      await supervisor.stop();
    }
    if (terminal.insisted.aborted) throw new Interrupted();
  } finally {
    running.release();
  }
}

async function start(config: Config, ids: readonly string[], supervisor: Supervisor): Promise<KilnClient> {
  const paths = homePaths(config.KILN_HOME);
  const taken = new Set([config.KILN_HTTP_PORT, config.KILN_CONTROL_PORT]);
  await requireFree(config.KILN_BIND, config.KILN_HTTP_PORT, 'KILN_HTTP_PORT');
  await requireFree(config.KILN_BIND, config.KILN_CONTROL_PORT, 'KILN_CONTROL_PORT');
  // Comes first: the cluster's own secrets mark a home as no longer new.
  if (!config.KILN_MASTER_KEY) makeMasterKey(paths);
  const stored = loadCluster(paths.cluster);
  const cluster = { ...stored, secret: config.KILN_CLUSTER_SECRET || stored.secret };
  const url = `http://${localAddress(config.KILN_BIND)}:${config.KILN_CONTROL_PORT}`;
  writePrivate(paths.credentials, `${JSON.stringify({ url, apiKey: cluster.adminKey })}\n`);
  const redis = config.KILN_REDIS_URL ?? (await startRedis(config, supervisor, cluster.redisPassword, taken));
  const apps: AppOptions = { config, paths, cluster, redisUrl: redis };
  const specs = [routerSpec(apps)];
  for (const id of ids) {
    const port = await findFree(config.KILN_BIND, config.KILN_AGENT_PORT, { length: 2, taken });
    specs.push(agentSpec(id, port, ids.length, apps));
  }
  const client = new KilnClient({ url, apiKey: cluster.adminKey });
  const since = Date.now();
  const ready = (name: string) => (name === 'router' ? routerAnswers(url) : nodeIsLive(client, name, since));
  await supervisor.start(specs, ready, config.KILN_UP_TIMEOUT);
  supervisor.nowUp();
  return client;
}

async function startRedis(config: Config, supervisor: Supervisor, password: string, taken: Set<number>): Promise<string> {
  const port = await findFree('127.0.0.1', FIRST_REDIS_PORT, { length: 1, taken });
  const redis = { port, password };
  const spec = redisSpec(homePaths(config.KILN_HOME), redis, config.inherited);
  await supervisor.start([spec], () => redisAnswers(redis), config.KILN_UP_TIMEOUT);
  return `redis://:${password}@127.0.0.1:${port}`;
}

/** Ends what a killed `kiln up` left: Redis above all, since two must not write the same data. */
async function endLeftovers({ terminal }: Session, running: RunningFile): Promise<void> {
  const children = Object.values(running.left?.children ?? {});
  if (children.length === 0) return;
  terminal.say('the last kiln up was killed; ending its processes');
  await Promise.all(children.map((child) => end(child, LEFTOVER_STOP_MS)));
  running.forgetLeft();
}

async function requireEngine(host: string): Promise<void> {
  try {
    await (await openEngine(host)).ping();
  } catch (error) {
    const fix = 'start Docker (or install it: npm start does so on Debian and Ubuntu), or set DOCKER_HOST to where it is';
    throw new Failure(`no Docker engine answers at ${host}: ${(error as Error).message}`, fix);
  }
}

async function routerAnswers(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
  return answer?.ok === true;
}

/** True when the node's agent has joined since `since`. A killed agent of the same node still counts as live for a moment. */
async function nodeIsLive(client: KilnClient, id: string, since: number): Promise<boolean> {
  const nodes = await client.nodes.list().catch(() => []);
  return nodes.some((node) => node.id === id && node.live && Date.parse(node.startedAt) >= since);
}

/** The address at which this machine reaches a server that listens on `bind`. */
export function localAddress(bind: string): string {
  if (bind === '0.0.0.0') return '127.0.0.1';
  if (bind === '::') return '[::1]';
  return bind.includes(':') ? `[${bind}]` : bind;
}
