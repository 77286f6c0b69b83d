import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { Program } from './program.js';
import { until } from './until.js';

const START_MS = 60_000;
const STOP_MS = 40_000;
const MB = 1024 * 1024;

/** A second Docker engine beside the machine's, with a disk of its own that is a file: it can be filled without harm to anyone. */
export class SmallEngine {
  readonly dockerHost: string;
  readonly docker: Dockerode;
  private readonly program: Program;
  private readonly removeNow = () => removeTraces(this.root, this.bridge);

  private constructor(
    private readonly folder: string,
    readonly root: string,
    private readonly bridge: string,
  ) {
    const socket = join(folder, 'docker.sock');
    this.dockerHost = `unix://${socket}`;
    this.docker = new Dockerode({ socketPath: socket });
    this.program = new Program('dockerd', {
      command: 'dockerd',
      args: argumentsOf(folder, root, bridge, this.dockerHost),
      env: process.env,
    });
    process.on('exit', this.removeNow);
  }

  static async start(megabytes: number): Promise<SmallEngine> {
    const folder = mkdtempSync(join(tmpdir(), 'kiln-engine-'));
    const [disk, root] = [join(folder, 'disk'), join(folder, 'root')];
    writeFileSync(disk, '');
    truncateSync(disk, megabytes * MB);
    // Nothing kept back for root: full is full.
    execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', disk]);
    mkdirSync(root);
    execFileSync('mount', ['-o', 'loop', disk, root]);
    const engine = new SmallEngine(folder, root, makeBridge());
    try {
      await until('the second engine answers', async () => engine.program.alive && (await engine.docker.ping()) !== undefined, START_MS);
      return engine;
    } catch (error) {
      await engine.stop();
      throw new Error(engine.program.stderr.slice(-4000), { cause: error });
    }
  }

  /** Percent of its disk. */
  used(): number {
    const { blocks, bavail } = statfsSync(this.root);
    return (100 * (blocks - bavail)) / blocks;
  }

  /** Takes what is left of the disk, to the last byte. */
  fill(name: string): void {
    spawnSync('dd', ['if=/dev/zero', `of=${join(this.root, name)}`, 'bs=64k'], { stdio: 'ignore' });
    spawnSync('dd', ['if=/dev/zero', `of=${join(this.root, `${name}-rest`)}`, 'bs=4k'], { stdio: 'ignore' });
  }

  empty(name: string): void {
    for (const file of [name, `${name}-rest`]) rmSync(join(this.root, file), { force: true });
  }

  async stop(): Promise<void> {
    await this.program.end(STOP_MS);
    process.off('exit', this.removeNow);
    removeTraces(this.root, this.bridge);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Its own folders, its own names in containerd, and none of the machine's firewall rules, which belong to the other engine. */
function argumentsOf(folder: string, root: string, bridge: string, host: string): string[] {
  const options = { 'data-root': root, 'exec-root': join(folder, 'run'), pidfile: join(folder, 'pid'), host, bridge };
  const namespaces = {
    'containerd-namespace': `kiln-test-${process.pid}`,
    'containerd-plugins-namespace': `kiln-test-plugins-${process.pid}`,
  };
  const off = { iptables: 'false', 'ip-masq': 'false', 'ip-forward': 'false' };
  return Object.entries({ ...options, ...namespaces, ...off }).map(([name, value]) => `--${name}=${value}`);
}

/** A bridge of its own: an engine that is told to have none removes the one called docker0, whosever it is. */
function makeBridge(): string {
  const name = `kt${randomBytes(5).toString('hex')}`;
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'inherit' });
  ip('link', 'add', name, 'type', 'bridge');
  ip('address', 'add', `10.213.${randomInt(256)}.${8 * randomInt(32) + 1}/29`, 'dev', name);
  ip('link', 'set', name, 'up');
  return name;
}

function removeTraces(root: string, bridge: string): void {
  const done = (command: string, ...args: string[]) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
  done('ip', 'link', 'delete', bridge);
  if (!done('umount', root)) done('umount', '--lazy', root);
}
