import { KilnClient } from '@kiln/client/client';
import type { Session } from '../command.js';
import { openEngine } from '../engine.js';
import { Failure, Interrupted } from '../failure.js';
import { type HomePaths, homePaths } from '../home.js';
import { type AppOptions, agentSpec, routerSpec } from './apps.js';
import { loadCluster, makeMasterKey, nodeIds } from './files/cluster-file.js';
import { makePrivateFolder, writePrivate } from './files/private-file.js';
import { removeLeftovers } from './leftovers.js';
import { findFree, requireFree } from './ports.js';
import { end } from './processes.js';
import { type ManagedRedis, redisAnswers, redisSpec, redisUrl } from './redis.js';
import { RunningFile } from './running-file.js';
import { Supervisor } from './supervisor.js';

const LEFTOVER_STOP_MS = 3000;
const FIRST_REDIS_PORT = 16_379;

export interface UpOptions {
  session: Session;
  nodes: number;
  /** Runs when the cluster is ready. When it returns or throws, all processes are stopped. */
  whileUp(client: KilnClient, nodes: readonly string[]): Promise<void>;
}

/** One `kiln up`, from taking the lock to the end of its last process. */
export async function up(options: UpOptions): Promise<void> {
  const { config, terminal } = options.session;
  const paths = homePaths(config.KILN_HOME);
  for (const folder of [paths.home, paths.logs, paths.redis]) makePrivateFolder(folder);
  const running = RunningFile.take(paths.running, [config.KILN_HTTP_PORT, config.KILN_CONTROL_PORT]);
  try {
    await endLeftovers(options.session, running);
    await requireEngine(config.DOCKER_HOST);
    const ids = nodeIds(paths.home, options.nodes);
    const leftovers = { home: paths.home, dockerHost: config.DOCKER_HOST, nodeIds: ids };
    // Each agent cleans up for its own node. An earlier kiln up may have had more nodes.
    await removeLeftovers({ ...leftovers, nodeIds: nodeIds(paths.home).filter((id) => !ids.includes(id)) }, terminal);
    const supervisor = new Supervisor({
      terminal,
      running,
      leftovers,
      drainTimeoutMs: config.KILN_DRAIN_DELAY + config.KILN_DRAIN_TIMEOUT,
    });
    try {
      const client = await start(options, { paths, ids, supervisor });
      if (!terminal.interrupted.aborted) await options.whileUp(client, ids);
    } finally {
      await supervisor.stop();
    }
    if (terminal.insisted.aborted) throw new Interrupted();
  } finally {
    running.release();
  }
}

interface Starting {
  paths: HomePaths;
  ids: readonly string[];
  supervisor: Supervisor;
}

async function start({ session, nodes }: UpOptions, { paths, ids, supervisor }: Starting): Promise<KilnClient> {
  const { config } = session;
  const taken = new Set([config.KILN_HTTP_PORT, config.KILN_CONTROL_PORT]);
  await requireFree(config.KILN_BIND, config.KILN_HTTP_PORT, 'KILN_HTTP_PORT');
  await requireFree(config.KILN_BIND, config.KILN_CONTROL_PORT, 'KILN_CONTROL_PORT');
  // Comes first: the cluster's own secrets mark a home as no longer new.
  if (!config.KILN_MASTER_KEY) makeMasterKey(paths);
  const cluster = { ...loadCluster(paths.cluster), ...(config.KILN_CLUSTER_SECRET && { secret: config.KILN_CLUSTER_SECRET }) };
  const url = `http://${localAddress(config.KILN_BIND)}:${config.KILN_CONTROL_PORT}`;
  writePrivate(paths.credentials, `${JSON.stringify({ url, apiKey: cluster.adminKey })}\n`);
  const redis = config.KILN_REDIS_URL ?? (await startRedis({ session, paths, supervisor }, { password: cluster.redisPassword, taken }));
  const apps: AppOptions = { config, paths, cluster, redisUrl: redis };
  const specs = [routerSpec(apps)];
  for (const id of ids) {
    const port = await findFree(config.KILN_BIND, config.KILN_AGENT_PORT, { length: 2, taken });
    specs.push(agentSpec({ id, port, of: nodes }, apps));
  }
  const client = new KilnClient({ url, apiKey: cluster.adminKey });
  const since = Date.now();
  await supervisor.start(
    specs,
    (name) => (name === 'router' ? routerAnswers(url) : nodeIsLive(client, name, since)),
    config.KILN_UP_TIMEOUT,
  );
  supervisor.nowUp();
  return client;
}

async function startRedis(
  { session, paths, supervisor }: { session: Session; paths: HomePaths; supervisor: Supervisor },
  { password, taken }: { password: string; taken: Set<number> },
): Promise<string> {
  const port = await findFree('127.0.0.1', FIRST_REDIS_PORT, { length: 1, taken });
  const redis: ManagedRedis = { port, password };
  await supervisor.start([redisSpec(paths, redis, session.config.inherited)], () => redisAnswers(redis), session.config.KILN_UP_TIMEOUT);
  return redisUrl(redis);
}

/** Ends what a killed `kiln up` left: Redis above all, since two must not write the same data. */
async function endLeftovers({ terminal }: Session, running: RunningFile): Promise<void> {
  const children = Object.entries(running.left?.children ?? {});
  if (children.length === 0) return;
  terminal.say('the last kiln up was killed; ending its processes');
  await Promise.all(children.map(([, child]) => end(child, LEFTOVER_STOP_MS)));
  running.forgetLeft();
}

async function requireEngine(host: string): Promise<void> {
  try {
    await (await openEngine(host)).ping();
  } catch (error) {
    throw new Failure(
      `no Docker engine answers at ${host}: ${(error as Error).message}`,
      'start Docker (or install it: npm start does so on Debian and Ubuntu), or set DOCKER_HOST to where it is',
    );
  }
}

async function routerAnswers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

/** True when the node's agent has joined since `since`. A killed agent of the same node still counts as live for a moment. */
async function nodeIsLive(client: KilnClient, id: string, since: number): Promise<boolean> {
  try {
    return (await client.nodes.list()).some((node) => node.id === id && node.live && Date.parse(node.startedAt) >= since);
  } catch {
    return false;
  }
}

/** The address at which this machine reaches a server that listens on `bind`. */
export function localAddress(bind: string): string {
  if (bind === '0.0.0.0') return '127.0.0.1';
  if (bind === '::') return '[::1]';
  return bind.includes(':') ? `[${bind}]` : bind;
}
