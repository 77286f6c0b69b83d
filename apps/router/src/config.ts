import { BlockList, isIP } from 'node:net';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { clusterSecret, logLevel, port, readEnvironment, redisUrl } from '@kiln/contract/config/environment';
import { masterKeyText } from '@kiln/secrets/master-key';
import { readMasterKeys } from '@kiln/secrets/read-master-keys';
import { z } from 'zod';
import { keyId } from './view/key-table.js';

const onOff = z.enum(['on', 'off'], 'must be on or off');

const address = z.string().refine((value) => isIP(value) !== 0 || value === 'localhost', 'must be an IP address');

const DELAY_RULE = 'must be ms, 0 to 600000';

const shape = {
  KILN_HOME: z.string().min(1).default(join(homedir(), '.kiln')),
  PATH: z.string().default('/usr/local/bin:/usr/bin:/bin'),
  KILN_BIND: address.default('127.0.0.1'),
  KILN_HTTP_PORT: port(8080),
  KILN_CONTROL_PORT: port(8081),
  KILN_DOMAIN: z
    .string()
    .max(190)
    .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'must be a domain name in lower case, without a port')
    .default('localhost'),
  KILN_PUBLIC_URL: z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).optional(),
  KILN_REDIS_URL: redisUrl,
  KILN_CLUSTER_SECRET: clusterSecret,
  KILN_MASTER_KEY: masterKeyText.optional(),
  KILN_MASTER_KEY_PREVIOUS: masterKeyText.optional(),
  KILN_ADMIN_KEY: z
    .string()
    .refine((key) => keyId(key) !== undefined, 'must be kiln_<12 letters or digits>_<32 or more letters or digits>')
    .meta({ secret: true })
    .optional(),
  KILN_TRUSTED_PROXIES: z
    .string()
    .transform((list) => list.split(',').map((entry) => entry.trim()))
    .refine((list) => list.every(isRange), 'must be addresses or CIDR ranges, separated by commas')
    .default([]),
  KILN_CALLS_BY_PATH: onOff.default('on'),
  KILN_PLACEMENT_HEADERS: onOff.default('on'),
  KILN_DRAIN_TIMEOUT: z.coerce.number('must be ms, 0 to 3600000').int().min(0).max(3_600_000, 'must be ms, 0 to 3600000').default(30_000),
  /** ms between a 503 on /readyz and the close of the door: load balancers need so long to see it. */
  KILN_DRAIN_DELAY: z.coerce.number(DELAY_RULE).int(DELAY_RULE).min(0, DELAY_RULE).max(600_000, DELAY_RULE).default(0),
  KILN_LOG_LEVEL: logLevel,
};

export type RouterConfig = ReturnType<typeof readConfig>;

/** @throws EnvironmentError naming the variable, its value and what is allowed */
export function readConfig(environment: Record<string, string | undefined> = process.env) {
  const env = readEnvironment(shape, environment);
  return {
    /** Holds what is pushed. */
    home: resolve(env.KILN_HOME),
    /** Where programs are found: git is one. */
    path: env.PATH,
    bind: env.KILN_BIND,
    httpPort: env.KILN_HTTP_PORT,
    controlPort: env.KILN_CONTROL_PORT,
    domain: env.KILN_DOMAIN,
    /** Base of functions' URLs, without a slash at its end. */
    publicUrl: (env.KILN_PUBLIC_URL ?? `http://localhost:${env.KILN_HTTP_PORT}`).replace(/\/+$/, ''),
    redisUrl: env.KILN_REDIS_URL,
    clusterSecret: env.KILN_CLUSTER_SECRET,
    /** Undefined: no secret can be set here. */
    masterKeys: readMasterKeys({ home: env.KILN_HOME, own: env.KILN_MASTER_KEY, previous: env.KILN_MASTER_KEY_PREVIOUS }),
    adminKey: env.KILN_ADMIN_KEY,
    trustedProxies: env.KILN_TRUSTED_PROXIES,
    /** Functions are reached below `/fn/`, too, all in one web origin. */
    callsByPath: env.KILN_CALLS_BY_PATH === 'on',
    /** Callers see which node and instance answered. */
    placementHeaders: env.KILN_PLACEMENT_HEADERS === 'on',
    drainTimeout: env.KILN_DRAIN_TIMEOUT,
    drainDelay: env.KILN_DRAIN_DELAY,
    logLevel: env.KILN_LOG_LEVEL,
  };
}

function isRange(entry: string): boolean {
  const [network = '', bits, ...rest] = entry.split('/');
  const family = isIP(network);
  if (family === 0 || rest.length > 0) return false;
  if (bits === undefined) return true;
  if (!/^\d{1,3}$/.test(bits)) return false;
  try {
    new BlockList().addSubnet(network, Number(bits), family === 6 ? 'ipv6' : 'ipv4');
    return true;
  } catch {
    return false;
  }
}
