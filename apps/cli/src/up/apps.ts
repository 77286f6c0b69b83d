import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config.js';
import type { HomePaths } from '../home.js';
import type { ClusterFile } from './files/cluster-file.js';
import type { MemberSpec } from './member.js';

const MEMORY_SHARE = 0.75;
const CPUS_PER_CORE = 16;

export interface AppOptions {
  config: Config;
  paths: HomePaths;
  cluster: ClusterFile;
  redisUrl: string;
}

export function routerSpec(options: AppOptions): MemberSpec {
  const { config, cluster } = options;
  return appSpec('router', import.meta.resolve('@kiln/router/dist/main.js'), options, {
    KILN_HTTP_PORT: config.KILN_HTTP_PORT,
    KILN_CONTROL_PORT: config.KILN_CONTROL_PORT,
    KILN_ADMIN_KEY: cluster.adminKey,
  });
}

/** @param of how many nodes share this machine */
export function agentSpec(id: string, port: number, of: number, options: AppOptions): MemberSpec {
  const { KILN_NODE_MEMORY: memory, KILN_NODE_CPUS: cpus } = options.config;
  return appSpec(id, import.meta.resolve('@kiln/agent/dist/main.js'), options, {
    KILN_NODE_ID: id,
    KILN_AGENT_PORT: port,
    KILN_AGENT_CONTROL_PORT: port + 1,
    KILN_NODE_MEMORY: memory ?? Math.floor((machineMemory() * MEMORY_SHARE) / of),
    KILN_NODE_CPUS: cpus ?? (availableParallelism() * CPUS_PER_CORE) / of,
  });
}

function appSpec(name: string, entry: string, options: AppOptions, own: Record<string, string | number>): MemberSpec {
  const { config, paths, cluster, redisUrl } = options;
  // The user's own API key stays here: routers and agents do not need it.
  const { KILN_API_KEY: _key, KILN_URL: _url, KILN_ADMIN_KEY: _admin, ...inherited } = config.inherited;
  const given = {
    KILN_HOME: paths.home,
    KILN_BIND: config.KILN_BIND,
    KILN_REDIS_URL: redisUrl,
    KILN_CLUSTER_SECRET: cluster.secret,
    ...own,
  };
  return {
    name,
    title: name === 'router' ? name : `agent ${name}`,
    command: process.execPath,
    args: [
      '--enable-source-maps',
      '--max-semi-space-size=8',
      '--no-memory-reducer',
      '--import',
      import.meta.resolve('./end-with-supervisor.js'),
      fileURLToPath(entry),
    ],
    env: { ...inherited, ...Object.fromEntries(Object.entries(given).map(([key, value]) => [key, String(value)])) },
    logFile: join(paths.logs, `${name}.log`),
    channel: true,
  };
}

/** The memory in MB of this machine, or of the container that this process runs in. */
function machineMemory(): number {
  return Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem()) / 1024 / 1024;
}
