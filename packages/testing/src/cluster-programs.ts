import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Place } from './apart.js';
import { Program } from './program.js';

const ROOT = join(import.meta.dirname, '..', '..', '..');

export type Environment = Record<string, string | number>;

/** What all programs of one cluster share. */
export interface Shared {
  home: string;
  /** Folder for temporary files of these processes alone: what is left in it was left by them. */
  temporary: string;
  secret: string;
  adminKey: string;
  masterKey: string;
  redisUrl: string;
  env: Environment;
}

export interface Ports {
  data: number;
  control: number;
}

export function newSecrets(): Pick<Shared, 'secret' | 'adminKey' | 'masterKey'> {
  const hex = (bytes: number) => randomBytes(bytes).toString('hex');
  return { secret: hex(24), adminKey: `kiln_${hex(6)}_${hex(20)}`, masterKey: hex(32) };
}

/** How a program is run, where not as usual. */
interface RunAs {
  args?: readonly string[];
  prefix?: readonly string[];
  /** The built checkout that it is run from; this one where none is named. */
  checkout?: string | undefined;
}

export function startRouter(index: number, ports: Ports, shared: Shared, checkout?: string): Program {
  const env = {
    ...common(shared),
    KILN_HTTP_PORT: ports.data,
    KILN_CONTROL_PORT: ports.control,
    KILN_ADMIN_KEY: shared.adminKey,
    ...shared.env,
  };
  return startApp('router', `router ${index + 1}`, env, { checkout });
}

/** @param place where it is a machine of its own on the network */
export function startAgent(id: string, ports: Ports, shared: Shared, place?: Place, checkout?: string): Program {
  const env = {
    ...common(shared),
    // The rules of the containers' networks are the machine's; in a name space of the agent's own they are of no effect.
    ...(place && { KILN_BIND: place.address, KILN_ADVERTISE_HOST: place.address, KILN_FIREWALL: 'optional' }),
    KILN_NODE_ID: id,
    KILN_AGENT_PORT: ports.data,
    KILN_AGENT_CONTROL_PORT: ports.control,
    ...shared.env,
  };
  return startApp('agent', `agent ${id}`, env, { ...(place && { prefix: place.prefix }), checkout });
}

/** As `kiln up` runs it: what was acknowledged outlives a kill -9. */
export function startRedis(port: number, folder: string, host = '127.0.0.1'): Program {
  const reach = host === '127.0.0.1' ? { bind: host } : { bind: `127.0.0.1 ${host}`, 'protected-mode': 'no' };
  const settings = { port, ...reach, dir: folder, appendonly: 'yes', save: '', 'maxmemory-policy': 'noeviction' };
  return new Program('redis', {
    command: 'redis-server',
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    env: { PATH: process.env['PATH'] },
  });
}

export function startCli(args: string[], env: Environment): Program {
  return startApp('cli', `kiln ${args.join(' ')}`, env, { args });
}

function startApp(app: string, name: string, env: Environment, { args = [], prefix = [], checkout = ROOT }: RunAs): Program {
  const [command = process.execPath, ...before] = [...prefix, process.execPath];
  return new Program(name, {
    command,
    args: [
      ...before,
      '--enable-source-maps',
      '--max-semi-space-size=8',
      '--no-memory-reducer',
      join(checkout, 'apps', app, 'dist', 'main.js'),
      ...args,
    ],
    env: { ...inherited(), ...Object.fromEntries(Object.entries(env).map(([key, value]) => [key, String(value)])) },
  });
}

/** A developer's own KILN_ variables must not reach a test's processes. */
function inherited(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('KILN_') && !name.startsWith('VITEST')));
}

function common({ home, temporary, secret, masterKey, redisUrl }: Shared): Environment {
  return {
    KILN_HOME: home,
    TMPDIR: temporary,
    KILN_CLUSTER_SECRET: secret,
    KILN_MASTER_KEY: masterKey,
    KILN_REDIS_URL: redisUrl,
    KILN_LOG_LEVEL: 'info',
  };
}
