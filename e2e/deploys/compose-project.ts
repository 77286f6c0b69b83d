import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answer } from '@kiln/testing/call';
import { removeHolds } from '@kiln/testing/engine';
import { freePorts } from '@kiln/testing/ports';
import { until } from '@kiln/testing/until';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'infra', 'compose');
const CLI = join(ROOT, 'apps', 'cli', 'dist', 'main.js');
const UP_MS = 900_000;
const COMMAND_MS = 180_000;
const CALL_MS = 60_000;
const MAX_OUTPUT = 64 * 1024 * 1024;

type Environment = Record<string, string | undefined>;

/** The cluster of `infra/compose` under a name and on ports of its own, used as its README says. */
export class ComposeProject {
  readonly nodes: readonly string[];
  /** Where a user keeps what was fetched from the cluster: its CA and credentials. */
  readonly home = mkdtempSync(join(tmpdir(), 'kiln-compose-'));
  private authority = '';

  private constructor(
    readonly name: string,
    readonly ports: { https: number; control: number; redis: number; registry: number },
  ) {
    this.nodes = [1, 2, 3].map((i) => `${name}-${i}`);
  }

  static async create(): Promise<ComposeProject> {
    const [httpsPort, control, redis, registry] = (await freePorts(4)) as [number, number, number, number];
    return new ComposeProject(`e2e-${randomBytes(3).toString('hex')}`, { https: httpsPort, control, redis, registry });
  }

  /** From nothing to a cluster that answers, its CA and credentials fetched. */
  async up(): Promise<void> {
    execFileSync(process.execPath, [join(ROOT, 'scripts', 'compose-plugin.mjs')], { stdio: 'inherit' });
    const images = ['node:24-trixie-slim', 'redis:8', 'registry:2', 'caddy:2'];
    execFileSync(process.execPath, [join(ROOT, 'scripts', 'base-images.mjs'), ...images], { stdio: 'inherit' });
    await this.compose(['up', '--detach', '--build', '--quiet-pull'], UP_MS);
    // It makes its CA in the moments after it has started.
    const authority = ['exec', '-T', 'load-balancer', 'cat', '/data/caddy/pki/authorities/local/root.crt'];
    this.authority = await until('the load balancer has its CA', () => this.compose(authority), COMMAND_MS);
    writeFileSync(join(this.home, 'ca.crt'), this.authority);
    const credentials = join(this.home, 'credentials.json');
    writeFileSync(credentials, await this.compose(['exec', '-T', 'router-1', 'cat', '/run/secrets/kiln/credentials.json']));
    chmodSync(credentials, 0o600);
  }

  compose(args: string[], timeoutMs = COMMAND_MS): Promise<string> {
    return run('docker', ['compose', ...args], { ...process.env, ...this.environment() }, timeoutMs);
  }

  /** The command line as a user of this cluster runs it; its JSON output. */
  async kiln<T>(...args: string[]): Promise<T> {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith('KILN_'));
    const env = { ...Object.fromEntries(own), KILN_HOME: this.home, NODE_EXTRA_CA_CERTS: join(this.home, 'ca.crt') };
    return JSON.parse(await run(process.execPath, [CLI, ...args, '-o', 'json'], env, COMMAND_MS)) as T;
  }

  /** One HTTPS call through the load balancer, trusting its CA and nothing else. */
  call(path: string, options: https.RequestOptions & { body?: string; host?: string } = {}): Promise<Answer> {
    const { body, host = 'localhost', ...rest } = options;
    const port = this.ports.https;
    const headers = { ...rest.headers, host: `${host}:${port}` };
    const request = https.request({ ...rest, host: '127.0.0.1', servername: host, port, path, headers, ca: this.authority, agent: false });
    request.setTimeout(CALL_MS, () => request.destroy(new Error(`no answer from ${path}`)));
    return answerOf(request, body);
  }

  /** Ends it and everything that it keeps; tells what is left of it on the engine and on this machine. */
  async down(): Promise<string[]> {
    await this.compose(['down', '--volumes', '--timeout', '45']);
    rmSync(this.home, { recursive: true, force: true });
    await removeHolds(this.nodes);
    const images = ['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}', '--filter', `reference=127.0.0.1:${this.ports.registry}/*`];
    for (const image of lines('docker', images)) execFileSync('docker', ['image', 'rm', image], { stdio: 'ignore' });
    const labels = [`com.docker.compose.project=${this.name}`, ...this.nodes.map((node) => `kiln.node=${node}`)];
    return [
      ...[
        ['container', 'ls', '--all'],
        ['network', 'ls'],
        ['volume', 'ls'],
      ].flatMap((command) =>
        labels.flatMap((label) => lines('docker', [...command, '--quiet', '--filter', `label=${label}`]).map((id) => `${label}: ${id}`)),
      ),
      ...lines('iptables', ['-S']).filter((rule) => this.nodes.some((node) => rule.includes(`kiln:${node}`))),
      ...this.nodes.map((node) => join('/run/kiln/run', node)).filter((folder) => existsSync(folder)),
    ];
  }

  private environment(): Environment {
    return {
      COMPOSE_PROJECT_NAME: this.name,
      COMPOSE_FILE: join(FOLDER, 'compose.yaml'),
      COMPOSE_PROGRESS: 'plain',
      KILN_NODE_PREFIX: this.name,
      KILN_HTTPS_PORT: String(this.ports.https),
      KILN_CONTROL_HTTPS_PORT: String(this.ports.control),
      KILN_REDIS_PORT: String(this.ports.redis),
      KILN_REGISTRY_PORT: String(this.ports.registry),
      KILN_PUBLIC_URL: `https://localhost:${this.ports.https}`,
      KILN_CONTROL_URL: `https://localhost:${this.ports.control}`,
    };
  }
}

function run(command: string, args: string[], env: Environment, timeout: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      command,
      args,
      { env: env as NodeJS.ProcessEnv, timeout, maxBuffer: MAX_OUTPUT, encoding: 'utf8' },
      (error, stdout, stderr) => {
        if (error) reject(new Error(`${command} ${args.join(' ')}: ${error.message.slice(0, 200)}\n${stderr.slice(-8000)}`));
        else resolve(stdout);
      },
    );
  });
}

function lines(command: string, args: string[]): string[] {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    .split('\n')
    .filter((line) => line !== '');
}

async function answerOf(request: http.ClientRequest, body: string | undefined): Promise<Answer> {
  const started = performance.now();
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('error', reject).once('response', resolve).end(body);
  });
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const whole = Buffer.concat(chunks);
  const text = whole.toString('utf8');
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    body: whole,
    text,
    trailers: response.trailers,
    ms: performance.now() - started,
    json: <T>() => JSON.parse(text) as T,
  };
}
