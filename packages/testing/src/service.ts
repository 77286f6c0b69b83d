import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { engine } from './engine.js';
import { freePorts } from './ports.js';
import { packFiles } from './tar.js';
import { until } from './until.js';

const BASE_IMAGES = join(import.meta.dirname, '..', '..', '..', 'scripts', 'base-images.mjs');
const READY_MS = 60_000;
const running = new Set<string>();

// A test run that ends in any way takes its containers along.
process.on('exit', () => {
  if (running.size > 0) spawnSync('docker', ['rm', '--force', '--volumes', ...running], { stdio: 'ignore' });
});

/** A server of somebody else's that tests talk to, in a container with one port on loopback. */
export interface Service {
  /** `127.0.0.1:<port>` */
  host: string;
  stop(): Promise<void>;
}

interface ServiceOptions {
  image: string;
  port: number;
  command?: string[];
  env?: Record<string, string>;
  /** Put into `/etc/kiln-test`. */
  files?: Record<string, string>;
  /** Path that answers once it is up, whatever the status. */
  ready: string;
}

/** An OCI registry that lets manifests be removed; with a password for `LOGIN` where asked for. */
export function startRegistry({ password = false }: { password?: boolean } = {}): Promise<Service> {
  const locked = { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_REALM: 'kiln', REGISTRY_AUTH_HTPASSWD_PATH: '/etc/kiln-test/users' };
  return startService({
    image: 'registry:2',
    port: 5000,
    command: ['registry', 'serve', '/etc/kiln-test/registry.yaml'],
    env: password ? locked : {},
    files: { 'registry.yaml': CONFIGURATION, users: USERS },
    ready: '/v2/',
  });
}

export const LOGIN = { username: 'kiln', password: 'kiln-test-password' };
// htpasswd -B of the password above.
const USERS = 'kiln:$2b$05$abcdefghijklmnopqrstuu/kzleiIGN2mUYTdr9Htsxu4QE7phJAm\n';
const CONFIGURATION = `version: 0.1
log: { level: warn, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: /var/lib/registry }, delete: { enabled: true } }
http: { addr: ":5000" }
`;

/** AWS's control API, as far as moto speaks it. It keeps no images: pushes go elsewhere. */
export function startMoto(): Promise<Service> {
  return startService({ image: 'motoserver/moto:5.1.1', port: 5000, command: ['-H', '0.0.0.0', '-p', '5000'], ready: '/moto-api/' });
}

async function startService({ image, port, command, env = {}, files = {}, ready }: ServiceOptions): Promise<Service> {
  execFileSync(process.execPath, [BASE_IMAGES, image], { stdio: ['ignore', 'ignore', 'inherit'] });
  const [hostPort] = (await freePorts(1)) as [number];
  const container = await engine.createContainer({
    name: `kiln-test-${randomBytes(6).toString('hex')}`,
    Image: image,
    ...(command !== undefined && { Cmd: command }),
    Env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
    ExposedPorts: { [`${port}/tcp`]: {} },
    HostConfig: { PortBindings: { [`${port}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: String(hostPort) }] } },
  });
  running.add(container.id);
  const stop = async () => {
    await container.remove({ force: true, v: true });
    running.delete(container.id);
  };
  try {
    const archive = packFiles(Object.entries(files).map(([name, content]) => [`kiln-test/${name}`, content]));
    await container.putArchive(await buffer(archive), { path: '/etc' });
    await container.start();
    const host = `127.0.0.1:${hostPort}`;
    await until(`${image} answers`, async () => (await fetch(`http://${host}${ready}`)).status > 0, READY_MS);
    return { host, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
