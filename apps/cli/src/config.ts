import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { clusterSecret, port, readEnvironment, redisUrl, registryPrefix } from '@kiln/contract/config/environment';
import { z } from 'zod';

const positive = (what: string) => z.coerce.number(what).positive(what);

const shape = {
  KILN_HOME: z
    .string()
    .default(join(homedir(), '.kiln'))
    .transform((path) => resolve(path)),
  KILN_URL: z.url({ protocol: /^https?$/, error: 'must be the http:// or https:// address of the control API' }).optional(),
  KILN_API_KEY: z.string().max(512).meta({ secret: true }).optional(),
  KILN_BIND: z.union([z.ipv4(), z.ipv6()], 'must be an IP address of this machine').default('127.0.0.1'),
  KILN_HTTP_PORT: port(8080),
  KILN_CONTROL_PORT: port(8081),
  KILN_AGENT_PORT: port(9200),
  KILN_REDIS_URL: redisUrl.optional(),
  KILN_CLUSTER_SECRET: clusterSecret.optional(),
  // Passed on unchecked: routers and agents check it.
  KILN_MASTER_KEY: z.string().meta({ secret: true }).optional(),
  KILN_NODE_MEMORY: positive('must be a number of MB').optional(),
  KILN_NODE_CPUS: positive('must be a number of cores').optional(),
  KILN_DRAIN_TIMEOUT: z.coerce.number('must be milliseconds').int().min(0).max(3_600_000).default(30_000),
  KILN_DRAIN_DELAY: z.coerce.number('must be milliseconds').int().min(0).max(600_000).default(0),
  /** `kiln up` gives up after so many ms in which no process shows progress. */
  KILN_UP_TIMEOUT: z.coerce.number('must be milliseconds').int().min(1000).max(3_600_000).default(60_000),
  KILN_REGISTRY: registryPrefix.optional(),
  KILN_REGISTRY_AUTH: z.string().optional(),
  KILN_REGISTRY_USERNAME: z.string().max(512).optional(),
  KILN_REGISTRY_PASSWORD: z.string().max(65_536).meta({ secret: true }).optional(),
  /** GitHub sets these in the run of a workflow. */
  GITHUB_ACTIONS: z.string().optional(),
  GITHUB_REPOSITORY: z.string().optional(),
  GITHUB_SHA: z.string().optional(),
  GITHUB_STEP_SUMMARY: z.string().optional(),
  GITHUB_OUTPUT: z.string().optional(),
  DOCKER_HOST: z.string().default('unix:///var/run/docker.sock'),
};

/** The environment of this process, for a run that gets no other. */
export const ownEnvironment: Readonly<Record<string, string | undefined>> = process.env;

export type Config = z.output<z.ZodObject<typeof shape>> & {
  /** The whole environment, for child processes. */
  inherited: Record<string, string | undefined>;
};

/** Reads every variable that the command line uses. @throws EnvironmentError */
export function readConfig(environment: Record<string, string | undefined>): Config {
  return { ...readEnvironment(shape, environment), inherited: environment };
}
