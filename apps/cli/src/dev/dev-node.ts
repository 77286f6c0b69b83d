import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { FunctionConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { LogRecord } from '@kiln/contract/records/records';
import type { Instance } from '@kiln/instances/instance/instance';
import { SOCKET_NAME } from '@kiln/instances/instance/socket-root';
import { InstanceLog } from '@kiln/instances/logs/instance-log';
import type { InstancePool } from '@kiln/instances/pool/instance-pool';
import { Pools } from '@kiln/instances/pool/pools';
import type { ContainerRequest, FunctionVersion } from '@kiln/instances/port/container-driver';
import { instanceEnvironment } from '@kiln/instances/port/instance-environment';
import { Capacity } from '@kiln/instances/room/capacity';
import { Gate } from '@kiln/instances/room/gate';
import type { RoomMaker } from '@kiln/instances/room/room-maker';
import { InstanceStarter, type Starter } from '@kiln/instances/start/start-instance';
import { ProcessDriver, type ProcessSpec } from './process-driver.js';
import type { FunctionSpec } from './spec.js';

const NODE = 'dev';
/** As on the platform another call may start another instance; on a developer's machine not many. */
const MOST_INSTANCES = 8;
const MOST_WAITING = 1000;
/** They go when the code changes, and with `kiln dev`. */
const NEVER_MS = 2 ** 31 - 1;
/** Requests that run when the code has changed end first, within this. */
const DRAIN_MS = 10_000;
/** Who stops it waits for its programs. */
const STOP_GRACE_MS = 1000;
/** Of this machine's own environment: a function must not come to depend on the rest. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'NODE_EXTRA_CA_CERTS', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];

/** A line that a function wrote. */
export type OutputLine = Pick<LogRecord, 'level' | 'message' | 'requestId'>;

export interface DevNodeOptions {
  /** Holds the sockets of the instances; nobody else can open it. */
  socketRoot: string;
  environment: Record<string, string | undefined>;
  onLine(name: string, line: OutputLine): void;
  say(line: string): void;
}

/** A node whose instances are processes of this machine. Each change of a function's code is another version of it. */
export class DevNode {
  private readonly pools: Pools;
  private readonly driver = new ProcessDriver((request) => this.processOf(request));
  private readonly specs = new WeakMap<FunctionVersion, FunctionSpec>();
  private versions = 0;

  constructor(private readonly options: DevNodeOptions) {
    const capacity = new Capacity({ memory: Number.POSITIVE_INFINITY, cpu: Number.POSITIVE_INFINITY });
    this.pools = new Pools(NODE, capacity, (room) => this.starterIn(room));
  }

  /** The pool of a function's newest code. */
  poolOf(spec: FunctionSpec, config: FunctionConfig): InstancePool {
    const { kind, entry, handler } = spec.program;
    const maxInstances = Math.min(MOST_INSTANCES, config.maxInstances);
    const version: FunctionVersion = {
      function: spec.name,
      version: ++this.versions,
      image: spec.folder,
      kind,
      config: {
        ...config,
        entry,
        handler,
        maxInstances,
        queue: MOST_WAITING,
        idleTimeout: NEVER_MS,
        stopGrace: Math.min(STOP_GRACE_MS, config.stopGrace),
      },
    };
    this.specs.set(version, spec);
    return this.pools.of(version);
  }

  /** Other code takes its place: who waits is told so, what runs may end within 10 s. */
  retire(pool: InstancePool): void {
    const { function: name } = pool.version;
    this.pools.remove(pool, new KilnError('unavailable', `the code of "${name}" has changed`));
    const cut = () => {
      for (const instance of pool.instances) instance.abandon();
    };
    setTimeout(cut, DRAIN_MS).unref();
  }

  /** Resolves when no process is left. */
  async stop(): Promise<void> {
    this.pools.close();
    this.pools.cut();
    await this.driver.gone();
  }

  /** A function sees of this machine's environment what it must, and what its folder says. */
  environmentOf({ env }: FunctionSpec): Record<string, string | undefined> {
    const { environment } = this.options;
    return { ...Object.fromEntries(INHERITED.map((name) => [name, environment[name]])), ...env };
  }

  private processOf({ version, socketFolder = '' }: ContainerRequest): ProcessSpec {
    const spec = this.specs.get(version) as FunctionSpec;
    const { command, args, env } = spec.program;
    const own = { ...instanceEnvironment(version, join(socketFolder, SOCKET_NAME)), KILN_VERSION: '0' };
    return { command, args, cwd: spec.folder, env: { ...env, ...this.environmentOf(spec), ...own } };
  }

  private starterIn(room: RoomMaker): Starter {
    const { options, driver } = this;
    const starter = new InstanceStarter({
      driver,
      images: { ensure: async () => undefined },
      secretsOf: async () => ({}),
      slots: { reserve: async () => 'granted', release: () => undefined },
      room,
      gate: new Gate(availableParallelism()),
      newLog: (instance) => this.logOf(instance),
      socketRoot: options.socketRoot,
    });
    return {
      atOnce: starter.atOnce,
      stop: (instance) => starter.stop(instance),
      start: async (instance) => {
        try {
          await starter.start(instance);
        } catch (error) {
          if (error instanceof KilnError && this.isCurrent(instance))
            this.tell(instance, `does not start: ${error.message.split('\n')[0]}`);
          throw error;
        }
        void this.tellOfDeath(instance);
      },
    };
  }

  private async tellOfDeath(instance: Instance): Promise<void> {
    await instance.container?.ended;
    // What the node ends itself is stopping by then.
    if (instance.state === 'stopping' || instance.state === 'removed' || !this.isCurrent(instance)) return;
    const exit = await instance.container?.exited;
    this.tell(instance, `it ended with exit code ${exit?.code}; the next call starts it again`);
  }

  private isCurrent({ version }: Instance): boolean {
    return this.pools.find(version.function, version.version) !== undefined;
  }

  private tell({ version }: Instance, text: string): void {
    this.options.say(`${version.function}: ${text}`);
  }

  private logOf(instance: Instance): InstanceLog {
    const { function: name, version } = instance.version;
    const requestOfOutput = () => instance.requestOfOutput(performance.now());
    const origin = { function: name, version, node: NODE, instance: instance.id, requestOfOutput };
    return new InstanceLog(origin, ({ level, message, requestId }) =>
      this.options.onLine(name, { level, message: stripVTControlCharacters(message), requestId }),
    );
  }
}
