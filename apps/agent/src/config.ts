import { availableParallelism, homedir, hostname, totalmem } from 'node:os';
import { join } from 'node:path';
import {
  clusterSecret,
  EnvironmentError,
  logLevel,
  port,
  readEnvironment,
  redisUrl,
  registryPrefix,
} from '@kiln/contract/config/environment';
import { FUNCTION_NAME_PATTERN, nodeId } from '@kiln/contract/names';
import { masterKeyText } from '@kiln/secrets/master-key';
import { readMasterKeys } from '@kiln/secrets/read-master-keys';
import { z } from 'zod';

const CPU_PER_CORE = 16;
const MEMORY_SHARE = 0.75;
const MB = 1024 * 1024;

const DAY_MS = 24 * 3_600_000;
const ENGINE_RULE = 'must be a number of ms, 1000 to 600000';
const GRACE_RULE = 'must be a number of ms, 0 to 30 days';
const PERCENT_RULE = 'must be a whole number of percent, 1 to 99';
/** @param rule said of whatever is wrong */
const whole = (rule: string, min: number, max: number) => z.coerce.number(rule).int(rule).min(min, rule).max(max, rule);
const percent = (fallback: number) => whole(PERCENT_RULE, 1, 99).default(fallback);
const megabytes = (min: number, fallback: number) =>
  z.coerce.number('must be a number of MB').int().min(min, `must be at least ${min} (MB)`).default(fallback);
const upToAnHour = (min: number, rule: string) =>
  z.coerce.number('must be a number of ms').int().min(min, rule).max(3_600_000, 'must be at most an hour (ms)');

const host = z.string().min(1).max(253);

const shape = {
  KILN_HOME: z.string().min(1).default(join(homedir(), '.kiln')),
  KILN_NODE_ID: nodeId.default(defaultNodeId()),
  KILN_REDIS_URL: redisUrl.default('redis://127.0.0.1:6379'),
  KILN_CLUSTER_SECRET: clusterSecret,
  KILN_MASTER_KEY: masterKeyText.optional(),
  KILN_MASTER_KEY_PREVIOUS: masterKeyText.optional(),
  KILN_BIND: host.default('127.0.0.1'),
  /** The host in the URLs that routers reach this node by. */
  KILN_ADVERTISE_HOST: host.default('127.0.0.1'),
  KILN_AGENT_PORT: port(9200),
  KILN_AGENT_CONTROL_PORT: z.coerce.number('must be a port, 1 to 65535').int().min(1).max(65_535, 'must be a port, 1 to 65535').optional(),
  /** MB that instances may be promised. */
  KILN_NODE_MEMORY: megabytes(16, Math.floor((totalmem() / MB) * MEMORY_SHARE)),
  /** Cores of instances that start or work at once: more than there are, because most wait most of the time. A soft limit. */
  KILN_NODE_CPUS: z.coerce
    .number('must be a number of cores')
    .positive('must be more than 0')
    .default(availableParallelism() * CPU_PER_CORE),
  KILN_NODE_WEIGHT: z.coerce.number('must be a number').positive('must be more than 0').max(100, 'must be at most 100').default(1),
  /** Whether instances are started while firewall rules are missing that this agent could set. */
  KILN_FIREWALL: z.enum(['required', 'optional'], 'must be required or optional').default('required'),
  /** ms after which an engine that answers neither what was asked of it nor anything else is silent. */
  KILN_ENGINE_TIMEOUT: whole(ENGINE_RULE, 1000, 600_000).default(15_000),
  /** ms in which the engine tells of an instance's end of which there are other signs. */
  KILN_EXIT_TIMEOUT: whole(ENGINE_RULE, 1000, 600_000).default(10_000),
  KILN_DRAIN_TIMEOUT: upToAnHour(0, 'must not be negative').default(30_000),
  /** ms for one build, from its first byte. */
  KILN_BUILD_TIMEOUT: upToAnHour(1000, 'must be at least 1000 (ms)').default(600_000),
  /** MB for each step of a build. */
  KILN_BUILD_MEMORY: megabytes(64, 2048),
  /** Cores for each step of a build. */
  KILN_BUILD_CPUS: z.coerce
    .number('must be a number of cores')
    .min(0.1, 'must be at least 0.1')
    .default(Math.max(1, availableParallelism() / 2)),
  /** MB that the steps of a build may write. */
  KILN_BUILD_DISK: megabytes(64, 8192),
  /** Where built images go: a host, and the path that goes before every repository. */
  KILN_REGISTRY: registryPrefix.optional(),
  /** Whether images of removed versions are removed there too, where it allows that. */
  KILN_REGISTRY_DELETE: z.enum(['on', 'off'], 'must be on or off').default('on'),
  /** Images are removed when the engine's disk is fuller than the first, until it is below the second. */
  KILN_IMAGES_HIGH: percent(85),
  KILN_IMAGES_LOW: percent(75),
  /** ms for which the images of removed versions are kept. */
  KILN_IMAGES_GRACE: whole(GRACE_RULE, 0, 30 * DAY_MS).default(3_600_000),
  /** A folder on the engine's disk, where the agent does not see the engine's own. */
  KILN_ENGINE_ROOT: z.string().startsWith('/', 'must be an absolute path').optional(),
  /** Logins for registries, as docker login writes them. */
  KILN_REGISTRY_AUTH: z.string().min(1).optional(),
  DOCKER_HOST: z
    .string()
    .regex(/^(unix:\/\/\/|tcp:\/\/|http:\/\/)/, 'must start with unix:///, tcp:// or http://')
    .default('unix:///var/run/docker.sock'),
  KILN_LOG_LEVEL: logLevel,
};

/** Everything that the environment says, read once. */
export type AgentConfig = ReturnType<typeof readConfig>;

/** @throws EnvironmentError naming the variable, its value and what is allowed */
export function readConfig(environment: Record<string, string | undefined> = process.env) {
  const read = readEnvironment(shape, environment);
  if (read.KILN_IMAGES_LOW >= read.KILN_IMAGES_HIGH) {
    throw new EnvironmentError(
      `KILN_IMAGES_LOW is ${read.KILN_IMAGES_LOW}: must be below KILN_IMAGES_HIGH, which is ${read.KILN_IMAGES_HIGH}`,
    );
  }
  return {
    home: read.KILN_HOME,
    nodeId: read.KILN_NODE_ID,
    redisUrl: read.KILN_REDIS_URL,
    clusterSecret: read.KILN_CLUSTER_SECRET,
    /** Undefined: functions with secrets can't run here. */
    masterKeys: readMasterKeys({ home: read.KILN_HOME, own: read.KILN_MASTER_KEY, previous: read.KILN_MASTER_KEY_PREVIOUS }),
    bind: read.KILN_BIND,
    advertiseHost: read.KILN_ADVERTISE_HOST,
    dataPort: read.KILN_AGENT_PORT,
    controlPort: read.KILN_AGENT_CONTROL_PORT ?? read.KILN_AGENT_PORT + 1,
    memory: read.KILN_NODE_MEMORY,
    cpus: read.KILN_NODE_CPUS,
    weight: read.KILN_NODE_WEIGHT,
    engineTimeout: read.KILN_ENGINE_TIMEOUT,
    exitTimeout: read.KILN_EXIT_TIMEOUT,
    firewallRequired: read.KILN_FIREWALL === 'required',
    drainTimeout: read.KILN_DRAIN_TIMEOUT,
    /** As the builder takes them: ms, MB, cores, bytes. */
    buildLimits: {
      time: read.KILN_BUILD_TIMEOUT,
      memory: read.KILN_BUILD_MEMORY,
      cpus: read.KILN_BUILD_CPUS,
      disk: read.KILN_BUILD_DISK * MB,
    },
    registry: read.KILN_REGISTRY,
    registryAuth: {
      path: read.KILN_REGISTRY_AUTH ?? join(read.KILN_HOME, 'registries.json'),
      optional: read.KILN_REGISTRY_AUTH === undefined,
    },
    registryDelete: read.KILN_REGISTRY_DELETE === 'on',
    imageMarks: { high: read.KILN_IMAGES_HIGH, low: read.KILN_IMAGES_LOW },
    imageGrace: read.KILN_IMAGES_GRACE,
    engineRoot: read.KILN_ENGINE_ROOT,
    dockerHost: read.DOCKER_HOST,
    logLevel: read.KILN_LOG_LEVEL,
  };
}

/** The machine's name, as far as it is a valid id. */
function defaultNodeId(): string {
  const name = (hostname().split('.')[0] ?? '').toLowerCase();
  return FUNCTION_NAME_PATTERN.test(name) ? name : 'node-1';
}
