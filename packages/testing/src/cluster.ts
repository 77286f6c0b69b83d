import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { KilnClient } from '@kiln/client/client';
import type { BuildLine, Deployed } from '@kiln/contract/api/control-api';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import type { VersionRecord } from '@kiln/contract/records/records';
import type { ApartNetwork } from './apart.js';
import { type Answer, type CallOptions, call } from './call.js';
import { type Environment, newSecrets, type Ports, type Shared, startAgent, startRedis, startRouter } from './cluster-programs.js';
import { containersOf, type Owned, removeLeftovers, removeLeftoversNow } from './engine.js';
import { type FolderChanges, folderTar } from './folder-tar.js';
import { freePorts } from './ports.js';
import type { Program } from './program.js';
import { until } from './until.js';

const START_MS = 60_000;
const STOP_MS = 40_000;

export interface ClusterOptions {
  nodes?: number;
  routers?: number;
  env?: Environment;
  /** A place for each node; the caller removes it after the cluster. */
  network?: ApartNetwork;
  /** Built checkouts of other versions of Kiln, for members by their place; the others run from this one. */
  checkouts?: Checkouts;
}

export interface Checkouts {
  routers?: readonly (string | undefined)[];
  nodes?: readonly (string | undefined)[];
}

export interface Member {
  id: string;
  ports: Ports;
  program: Program;
}

export interface DeployedImage extends Deployed {
  image: string;
}

/** Routers, agents and a Redis as real processes on ports of their own. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = new Cluster(options.nodes ?? 1, options.routers ?? 1, await newShared(options), options);
  try {
    await cluster.start();
    return cluster;
  } catch (error) {
    const output = cluster.outputs();
    await cluster.stop().catch((reason: unknown) => console.error(reason));
    throw new Error(`the cluster does not come up\n${output}`, { cause: error });
  }
}

async function newShared({ env = {}, network }: ClusterOptions): Promise<ClusterShared> {
  const [redisPort] = (await freePorts(1)) as [number];
  const home = mkdtempSync(join(tmpdir(), 'kiln-e2e-'));
  const temporary = join(home, 'tmp');
  mkdirSync(temporary);
  const redisHost = network?.host ?? '127.0.0.1';
  return { home, temporary, ...newSecrets(), redisUrl: `redis://${redisHost}:${redisPort}`, redisHost, redisPort, env };
}

interface ClusterShared extends Shared {
  redisHost: string;
  redisPort: number;
}

export class Cluster {
  readonly routers: Member[] = [];
  readonly agents: Member[] = [];
  readonly nodes: string[];
  redis!: Program;
  private readonly run = randomBytes(3).toString('hex');
  private readonly killed = new Set<Program>();
  private readonly removeNow = () => removeLeftoversNow(this.nodes);

  constructor(
    nodes: number,
    private readonly routerCount: number,
    readonly shared: ClusterShared,
    private readonly options: Pick<ClusterOptions, 'network' | 'checkouts'>,
  ) {
    this.nodes = Array.from({ length: nodes }, (_, i) => `e2e-${this.run}-${i + 1}`);
    process.on('exit', this.removeNow);
  }

  async start(): Promise<void> {
    this.redis = this.startRedis();
    const { network, checkouts = {} } = this.options;
    const ports = await freePorts(2 * (this.nodes.length + this.routerCount));
    const next = (): Ports => ({ data: ports.pop() as number, control: ports.pop() as number });
    for (let i = 0; i < this.routerCount; i += 1) {
      const own = next();
      this.routers.push({ id: `router-${i + 1}`, ports: own, program: startRouter(i, own, this.shared, checkouts.routers?.[i]) });
    }
    for (const [i, id] of this.nodes.entries()) {
      const own = next();
      const program = startAgent(id, own, this.shared, network?.places[i], checkouts.nodes?.[i]);
      this.agents.push({ id, ports: own, program });
    }
    await this.ready();
  }

  /** Every router sees every node whose process runs. */
  async ready(): Promise<void> {
    const expected = this.agents.filter(({ program }) => program.alive).map(({ id }) => id);
    for (const router of this.routers.filter(({ program }) => program.alive)) {
      await until(
        `${router.id} sees ${expected.join(', ')}`,
        async () => {
          if (!router.program.alive) throw new Error(`${router.id} has ended`);
          const live = await this.liveNodes(router);
          return expected.every((id) => live.includes(id)) && live.length === expected.length;
        },
        START_MS,
      );
    }
  }

  async liveNodes(router: Member = this.router): Promise<string[]> {
    const nodes = await this.clientOf(router).nodes.list();
    return nodes.filter(({ live }) => live).map(({ id }) => id);
  }

  get router(): Member {
    return this.routers[0] as Member;
  }

  get client(): KilnClient {
    return this.clientOf(this.router);
  }

  clientOf(router: Member, apiKey = this.shared.adminKey): KilnClient {
    return new KilnClient({ url: `http://127.0.0.1:${router.ports.control}`, apiKey });
  }

  agent(id: string): Member {
    const found = this.agents.find((agent) => agent.id === id);
    if (!found) throw new Error(`no node ${id}`);
    return found;
  }

  /** Calls a function's door: the path is sent as given, `/fn/<name>/…` included. */
  call(path: string, options: CallOptions & { router?: Member } = {}): Promise<Answer> {
    return call((options.router ?? this.router).ports.data, path, options);
  }

  /** One call of the control API; `key: null` sends none. */
  api(method: string, path: string, body?: unknown, options: { router?: Member; key?: string | null } = {}): Promise<Answer> {
    const key = options.key === undefined ? this.shared.adminKey : options.key;
    return call((options.router ?? this.router).ports.control, path, {
      method,
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      timeoutMs: 120_000,
    });
  }

  /** Builds and deploys a folder. @throws Error with the build's output when it fails. */
  async deploy(folder: string, changes: FolderChanges & { name: string }): Promise<DeployedImage> {
    const lines = await this.build(changes.name, folderTar(folder, changes));
    const last = lines.at(-1);
    if (last?.type !== 'done') throw new Error(`deploy of ${changes.name}: ${JSON.stringify(lines, null, 1)}`);
    const versions = await this.versions(changes.name);
    const image = versions.find(({ version }) => version === last.version)?.image;
    if (image === undefined) throw new Error(`version ${last.version} of ${changes.name} is not listed`);
    return { ...last, image };
  }

  /** Sends a tar to `POST builds` and gives every line of the answer; a refusal before the first line is thrown. */
  async build(name: string, tar: Readable): Promise<BuildLine[]> {
    const answer = await call(this.router.ports.control, `/v1/functions/${name}/builds`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.shared.adminKey}`, 'content-type': 'application/gzip' },
      body: tar,
      timeoutMs: 300_000,
    });
    if (answer.status !== 200) throw new Error(`build of ${name}: ${answer.status} ${answer.text}`);
    return answer.text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as BuildLine);
  }

  versions(name: string): Promise<VersionRecord[]> {
    return this.client.versions.list(name);
  }

  /** Another version, of this or a new function, from an image that is built already. */
  async addVersion(name: string, image: string, config: FunctionConfigInput = {}): Promise<void> {
    await this.client.versions.create(name, { image, config });
  }

  containers(functionName?: string): Promise<Owned[]> {
    return containersOf(this.nodes, functionName);
  }

  /** kill -9, and the confirmed end of the process. */
  async kill(member: Member): Promise<void> {
    this.killed.add(member.program);
    member.program.kill('SIGKILL');
    await member.program.exited;
  }

  restart(member: Member): void {
    member.program = member.program.again();
  }

  /** Starts a member that has ended from another built checkout; from this one where none is named. */
  startFrom(checkout: string | undefined, member: Member): void {
    const router = this.routers.indexOf(member);
    const place = this.options.network?.places[this.agents.indexOf(member)];
    member.program =
      router >= 0
        ? startRouter(router, member.ports, this.shared, checkout)
        : startAgent(member.id, member.ports, this.shared, place, checkout);
  }

  private startRedis(): Program {
    const { redisPort, home, redisHost } = this.shared;
    return startRedis(redisPort, home, redisHost);
  }

  async killRedis(): Promise<void> {
    this.redis.kill('SIGKILL');
    await this.redis.exited;
  }

  restartRedis(): void {
    this.redis = this.startRedis();
  }

  outputs(): string {
    return [...this.routers, ...this.agents]
      .map(({ program }) => `--- ${program.name}\n${program.stdout.slice(-4000)}${program.stderr.slice(-4000)}`)
      .join('\n');
  }

  /**
   * Ends everything and removes what is left.
   * @throws Error when a process ended by itself or not in order, or when all ended in order and left containers or networks.
   */
  async stop(): Promise<void> {
    const members = [...this.agents, ...this.routers];
    const clean = members.every(({ program }) => program.alive);
    const faults: string[] = [];
    await Promise.all(
      members.map(async ({ id, program }) => {
        const { code, signal } = program.alive ? await program.end(STOP_MS) : await program.exited;
        if (code === 0 || this.killed.has(program)) return;
        faults.push(`${id} ended with ${code ?? signal}: ${program.stdout.slice(-2000)}${program.stderr.slice(-4000)}`);
      }),
    );
    await this.redis.end(STOP_MS);
    const leftovers = await removeLeftovers(this.nodes);
    process.off('exit', this.removeNow);
    rmSync(this.shared.home, { recursive: true, force: true });
    if (clean) faults.push(...leftovers);
    if (faults.length > 0) throw new Error(`the cluster did not end cleanly:\n${faults.join('\n')}`);
  }
}
